"""What /v1 answers when it cannot answer, in OpenAI's envelope.

    GatewayError
    ├── InvalidRequest        400 invalid_request
    ├── PreviousResponseNotFound  400 previous_response_not_found
    ├── InvalidApiKey         401 invalid_api_key
    ├── InsufficientQuota     402 insufficient_quota
    ├── PermissionDenied      403 permission_denied
    ├── ModelNotFound         404 model_not_found
    ├── NotFound              404 not_found
    ├── MethodNotAllowed      405 invalid_request
    ├── BodyTimeout           408 timeout
    ├── RequestTooLarge       413 request_too_large
    ├── UnsupportedMediaType  415 invalid_request
    ├── RateLimit             429 rate_limit
    ├── UpstreamError         500 upstream_error
    ├── InternalError         500 internal_error
    └── ServiceUnavailable    503 service_unavailable

Messages tell what to do. They never carry provider names of ours, credentials, or text of a provider's 5xx answer.
"""

from __future__ import annotations

import math
from typing import ClassVar

import msgspec

# SDKs before openai-python 3 ignore a longer one and retry at once.
MAX_RETRY_AFTER_S = 60


class GatewayError(Exception):
    """A refusal or failure with its HTTP status, code and type."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.should_retry = should_retry
        self.extra_headers = headers

    def body(self) -> bytes:
        """Write the envelope."""
        return msgspec.json.encode({"error": self.detail()})

    def detail(self) -> dict[str, str | None]:
        """Return what stands inside the envelope."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code}

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers that tell SDKs whether and when to try again."""
        headers = [("content-type", "application/json"), *self.extra_headers]
        if self.retry_after_s is not None:
            headers.append(
                ("retry-after", str(min(MAX_RETRY_AFTER_S, max(1, math.ceil(self.retry_after_s)))))
            )
        if self.should_retry is not None:
            headers.append(("x-should-retry", "true" if self.should_retry else "false"))
        return headers


class InvalidRequest(GatewayError):
    """The body or a parameter is wrong; ``param`` names it."""

    status, code, type = 400, "invalid_request", "invalid_request_error"


class PreviousResponseNotFound(GatewayError):
    """The response to go on with is unknown, expired, deleted, or someone else's."""

    status, code, type = 400, "previous_response_not_found", "invalid_request_error"


class InvalidApiKey(GatewayError):
    """No API key, or not one of ours, or revoked or expired."""

    status, code, type = 401, "invalid_api_key", "authentication_error"


class InsufficientQuota(GatewayError):
    """The wallet or a budget does not reach."""

    status, code, type = 402, "insufficient_quota", "insufficient_quota"


class PermissionDenied(GatewayError):
    """The key is good but may not do this."""

    status, code, type = 403, "permission_denied", "permission_error"


class ModelNotFound(GatewayError):
    """No such model is sold here."""

    status, code, type = 404, "model_not_found", "invalid_request_error"


class NotFound(GatewayError):
    """No such path."""

    status, code, type = 404, "not_found", "invalid_request_error"


class MethodNotAllowed(GatewayError):
    """The path exists, the method does not."""

    status, code, type = 405, "invalid_request", "invalid_request_error"


class BodyTimeout(GatewayError):
    """The caller's body did not arrive in time."""

    status, code, type = 408, "timeout", "timeout_error"


class RequestTooLarge(GatewayError):
    """The body exceeds what is accepted."""

    status, code, type = 413, "request_too_large", "invalid_request_error"


class UnsupportedMediaType(GatewayError):
    """The body is not JSON by its own word."""

    status, code, type = 415, "invalid_request", "invalid_request_error"


class RateLimit(GatewayError):
    """Too many requests, tokens, or running requests."""

    status, code, type = 429, "rate_limit", "rate_limit_error"


class UpstreamError(GatewayError):
    """An upstream answered, but not usefully, and every attempt is used."""

    status, code, type = 500, "upstream_error", "upstream_error"


class InternalError(GatewayError):
    """Our own fault."""

    status, code, type = 500, "internal_error", "server_error"


class ServiceUnavailable(GatewayError):
    """Nothing can serve this request now."""

    status, code, type = 503, "service_unavailable", "service_unavailable_error"
