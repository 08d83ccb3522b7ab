"""What every page needs: its headers, its compression, an address that means something, and no long wait for Stripe."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware

from billing.stripe_api.patience import hurried
from fastanchor.lib.policy import policy


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Let pages load from their own origin only, unless a view said otherwise, and browsers guess at no type."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy())
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    return middleware


def refuse_nul(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer 400 where the address of a page or a cookie holds a NUL: PostgreSQL knows no text with one."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if _holds_nul(request) and not request.path.startswith("/v1"):
            message = "The address or a cookie holds a NUL."
            raise BadRequest(message)
        return get_response(request)

    return middleware


def _holds_nul(request: HttpRequest) -> bool:
    # Django reads quoted cookies, in which a NUL may be written.
    decoded = (request.path_info, *request.COOKIES.values())
    return any("\0" in each for each in decoded) or "%00" in request.META.get("QUERY_STRING", "")


def no_long_wait_for_stripe(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Let whatever answers a request ask Stripe only for as long as somebody may be kept waiting."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with hurried():
            return get_response(request)

    return middleware


def compressed_pages(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Compress pages for those who take it; streams pass as they come, and programs get what the fast lane sends.

    What could be guessed from the length of a compressed page is masked by Django: its tokens differ each time, and the
    compressed length is padded at random.
    """
    gzip = GZipMiddleware(get_response)

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not response.streaming and not request.path.startswith("/v1"):
            gzip.process_response(request, response)
        return response

    return middleware
