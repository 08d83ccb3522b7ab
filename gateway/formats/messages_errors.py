"""Errors as Anthropic's SDKs know them."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from gateway.errors import GatewayError, InvalidRequest

# What they call each status; a status of ours that they do not know is shown as the nearest of theirs.
_KINDS: dict[int, tuple[int, str]] = {
    400: (400, "invalid_request_error"),
    401: (401, "authentication_error"),
    402: (402, "billing_error"),
    403: (403, "permission_error"),
    404: (404, "not_found_error"),
    405: (405, "invalid_request_error"),
    408: (408, "timeout_error"),
    409: (409, "conflict_error"),
    413: (413, "request_too_large"),
    415: (415, "invalid_request_error"),
    429: (429, "rate_limit_error"),
    503: (529, "overloaded_error"),
    504: (504, "timeout_error"),
}


class NoThreads(InvalidRequest):
    """Conversations are not kept here; by these details the SDKs' tool runners know to send all of one each time."""

    details: ClassVar[dict[str, Any]] = {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }


def error_object(error: GatewayError) -> dict[str, Any]:
    """Return what stands inside the envelope: Anthropic's fields, and our code and parameter beside them."""
    _, kind = _KINDS.get(error.status, (error.status, "api_error"))
    shown = {"type": kind, "message": error.message, "code": error.code, "param": error.param}
    return shown | {"details": error.details} if isinstance(error, NoThreads) else shown


def refusal(error: GatewayError, request_id: str) -> tuple[int, bytes]:
    """Return status and body of an error."""
    status, _ = _KINDS.get(error.status, (error.status, "api_error"))
    body = {"type": "error", "error": error_object(error), "request_id": request_id}
    return status, msgspec.json.encode(body)
