"""Google's error bodies: ``{"error": {code, message, status, details}}``, on some paths inside a list."""

from __future__ import annotations

from typing import Any

import msgspec

from catalog.snapshot import Channel
from gateway.upstreams.base import NONSENSE
from gateway.upstreams.private import without_secrets

_UNNAMED = "The model's provider refused the request as invalid."
# Reasons of ``google.rpc.ErrorInfo`` that are about a key or project. A bad key comes with status 400.
_OUR_REASONS = frozenset(
    {
        "API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "API_KEY_IP_ADDRESS_BLOCKED",
        "ACCOUNT_STATE_INVALID", "ACCESS_TOKEN_EXPIRED", "BILLING_DISABLED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED",
        "CREDENTIALS_MISSING", "SERVICE_DISABLED", "USER_PROJECT_DENIED",
    }
)  # fmt: skip
# Matched from the start of the text only: what a caller wrote and Google quotes must not take a channel out.
_OUR_TEXTS = (
    "API key not valid", "API key expired", "Your prepayment credits", "Your prepay credits",
    "This API method requires billing",
)  # fmt: skip
# With status 400 this means the place or plan of our account: the API is not offered there.
_OUR_STATUS = "FAILED_PRECONDITION"


def blames_our_account(body: bytes) -> bool:
    """Tell whether a refusal is about our key, project, place or credit."""
    error = _error(body)
    if error.get("status") == _OUR_STATUS or str(error.get("message")).startswith(_OUR_TEXTS):
        return True
    details = error.get("details")
    return any(
        isinstance(detail, dict) and str(detail.get("reason")) in _OUR_REASONS
        for detail in (details if isinstance(details, list) else ())
    )


def complaint(body: bytes, channel: Channel) -> tuple[str, str | None]:
    """Read the message of a refusal; Google's own names of fields would mean nothing to a caller."""
    message = _error(body).get("message")
    return (without_secrets(message, channel) if isinstance(message, str) and message else _UNNAMED), None


def _error(body: bytes) -> dict[str, Any]:
    try:
        whole: Any = msgspec.json.decode(body)
    except NONSENSE:
        return {}
    if isinstance(whole, list) and whole:
        whole = whole[0]
    error = whole.get("error") if isinstance(whole, dict) else None
    return error if isinstance(error, dict) else {}
