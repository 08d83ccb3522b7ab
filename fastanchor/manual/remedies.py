"""What each error means to the reader, what to do about it, and what SDKs make of its status."""

from __future__ import annotations

from typing import NamedTuple

from gateway import errors
from gateway.errors import GatewayError


class Remedy(NamedTuple):
    """Two sentences or more: what happened, and what helps."""

    meaning: str
    what_to_do: str


REMEDIES: dict[type[GatewayError], Remedy] = {
    errors.InvalidRequest: Remedy(
        "The body or a parameter is wrong, or asks for what the model cannot do.",
        "`param` names it and `message` says what is wanted. Sending the same again changes nothing.",
    ),
    errors.PreviousResponseNotFound: Remedy(
        "The response to go on from is unknown, deleted, or too old.",
        "Send the earlier turns yourself, without `previous_response_id`.",
    ),
    errors.InvalidApiKey: Remedy(
        "The API key is missing, mistyped, expired or revoked.",
        "Compare its beginning and its last four signs with your list of keys.",
    ),
    errors.InsufficientQuota: Remedy(
        "The credit, or a budget of the key, its member or the organization, does not reach.",
        "`message` names both amounts. Top up, raise the budget, or ask for fewer output tokens.",
    ),
    errors.PermissionDenied: Remedy(
        "The key is good, but may not do this, or its organization is frozen.",
        "Use another key, or change what this one may do; write to us where `message` says that it is frozen. Of your own key of a provider `message` says what it was refused for.",
    ),
    errors.ModelNotFound: Remedy(
        "There is no such model, or this key may not use it.",
        "`GET /v1/models` with the same key lists those that will work.",
    ),
    errors.NotFound: Remedy(
        "There is no such path, or nothing under this id.",
        "`message` says what to change: often it is a `/v1` too many or too few in the base URL.",
    ),
    errors.MethodNotAllowed: Remedy("The path takes another method.", "The header `allow` names it."),
    errors.BodyTimeout: Remedy(
        "The body did not arrive in time.",
        "Send it again; with large pictures, make them smaller first.",
    ),
    errors.RequestTooLarge: Remedy(
        "The body is larger than {{max_body_mib}} MiB.",
        "Shorten it, or send pictures by their address.",
    ),
    errors.UnsupportedMediaType: Remedy(
        "The body is not what its path takes, by its own word.",
        "Set `Content-Type: application/json`; recordings are sent as `multipart/form-data`.",
    ),
    errors.RateLimit: Remedy(
        "Too many requests or tokens in this minute, or too many requests at once.",
        "Wait for as many seconds as `retry-after` says. `param` tells which limit it was.",
    ),
    errors.UpstreamError: Remedy(
        "The model's provider failed, and so did every other way to the model.",
        "You pay nothing. Try again in a while, or name another model.",
    ),
    errors.InternalError: Remedy(
        "The fault is ours.", "You pay nothing. Try again; tell us the request id if it stays."
    ),
    errors.ServiceUnavailable: Remedy(
        "Nothing can serve the request right now.",
        "You pay nothing. Try again after `retry-after` seconds.",
    ),
}

_OPENAI = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
_ANTHROPIC = {
    **_OPENAI,
    402: "PaymentRequiredError",
    408: "RequestTimeoutError",
    413: "ContentTooLargeError",
    503: "ServiceUnavailableError",
    529: "OverloadedError",
}


def raised_by_openai(status: int) -> str:
    """Return the exception of OpenAI's SDK for Python."""
    return _OPENAI.get(status, "InternalServerError" if status >= 500 else "APIStatusError")


def raised_by_anthropic(status: int) -> str:
    """Return the exception of Anthropic's SDK for Python."""
    return _ANTHROPIC.get(status, "InternalServerError" if status >= 500 else "APIStatusError")
