"""What every page needs: its headers, and no long wait for Stripe."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from billing.stripe_api.patience import hurried
from fastanchor.lib.policy import policy


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Let pages load from their own origin only, unless a view said otherwise."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy())
        return response

    return middleware


def no_long_wait_for_stripe(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Let whatever answers a request ask Stripe only for as long as somebody may be kept waiting."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with hurried():
            return get_response(request)

    return middleware
