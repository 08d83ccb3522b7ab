"""Every answer under /v1 that is not a success carries the caller's envelope and a request id, whoever made it.

That is OpenAI's, and Anthropic's for its own paths and SDKs.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from fastanchor.lib.ids import new_id
from gateway.errors import (
    GatewayError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PermissionDenied,
    RequestTooLarge,
)
from gateway.formats import messages_errors
from gateway.formats.base import Format

_BY_STATUS: dict[int, GatewayError] = {
    400: InvalidRequest("The request could not be understood."),
    403: PermissionDenied("This is not allowed."),
    404: NotFound("There is no such path under /v1."),
    405: MethodNotAllowed("This path does not take that method."),
    413: RequestTooLarge("The request is too large."),
}


def error_response(error: GatewayError) -> HttpResponse:
    """Write an error as a Django response."""
    response = HttpResponse(error.body(), status=error.status)
    for name, value in (*error.headers(), ("x-request-id", new_id("req"))):
        response[name] = value
    return response


def is_anthropic(request: HttpRequest) -> bool:
    """Tell whether a caller expects what Anthropic answers."""
    return "anthropic-version" in request.headers or is_anthropic_path(request.path)


def is_anthropic_path(path: str) -> bool:
    """Tell whether a path is one of Anthropic's own."""
    return path.startswith("/v1/messages")


def suited(error: GatewayError, *, is_anthropic: bool) -> tuple[int, list[tuple[str, str]], bytes]:
    """Write an error in the envelope that the caller's SDK reads: status, headers, body."""
    request_id = new_id("req")
    headers = [*error.headers(), ("x-request-id", request_id)]
    if not is_anthropic:
        return error.status, headers, error.body()
    status, body = messages_errors.refusal(error, request_id)
    return status, [*headers, ("request-id", request_id)], body


def suited_response(request: HttpRequest, error: GatewayError) -> HttpResponse:
    """Write an error as a Django response in the envelope that the caller's SDK reads."""
    status, headers, body = suited(error, is_anthropic=is_anthropic(request))
    response = HttpResponse(body, status=status)
    for name, value in headers:
        response[name] = value
    return response


def refusal_response(error: GatewayError, format_: Format, request_id: str) -> HttpResponse:
    """Write an error as a Django response in the format that its path speaks."""
    status, body = format_.refusal(error, request_id)
    response = HttpResponse(body, status=status)
    for name, value in (*error.headers(), *format_.headers(request_id)):
        response[name] = value
    return response


class Envelope(MiddlewareMixin):
    """Gives the envelope to errors of Django's own making under /v1, and a request id to every answer there."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse plain HTTP: led on, a program would send its key in the clear each time, and nobody would notice."""
        if not settings.SECURE_SSL_REDIRECT or request.is_secure() or not request.path.startswith("/v1/"):
            return None
        return suited_response(
            request, PermissionDenied("Only HTTPS is served here. Begin the base URL with https://.")
        )

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Enclose one answer."""
        return _enclose(request, response)


def _enclose(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if not request.path.startswith("/v1/"):
        return response
    if response.status_code >= 400 and not response.get("content-type", "").startswith("application/json"):
        fallback = InternalError("Something went wrong on our side. Try again.")
        enclosed = suited_response(request, _BY_STATUS.get(response.status_code, fallback))
        if response.has_header("allow"):
            enclosed["allow"] = response["allow"]
        return enclosed
    if not response.has_header("x-request-id"):
        response["x-request-id"] = new_id("req")
    return response
