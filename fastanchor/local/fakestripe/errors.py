"""Stripe's error object, and the errors that more than one operation answers with."""

from __future__ import annotations

from typing import Any

_DOCS = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    """A refusal in Stripe's own words; ``is_remembered`` says whether its idempotency key keeps it."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        is_remembered: bool = True,
        **more: Any,
    ) -> None:
        """Describe a refusal; ``more`` are further fields of the error object."""
        super().__init__(message)
        self.status = status
        self.is_remembered = is_remembered
        told = {"message": message, "type": kind, "code": code, "param": param, **more}
        if code:
            told["doc_url"] = _DOCS + code.replace("_", "-")
        self.fields: dict[str, Any] = {name: value for name, value in told.items() if value is not None}

    def body(self) -> dict[str, Any]:
        """Return the answer's body."""
        return {"error": self.fields}


def no_such(what: str, object_id: str, param: str) -> StripeError:
    """Return the error for an id that leads nowhere."""
    status = 404 if param in {"id", "intent"} else 400
    return StripeError(f"No such {what}: '{object_id}'", status=status, code="resource_missing", param=param)


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> StripeError:
    """Return the error for parameters that make no sense; nothing was done, so no key remembers it."""
    return StripeError(message, param=param, code=code, is_remembered=False)
