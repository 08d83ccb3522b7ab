"""From where a request for a page comes."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """Return a visitor's address, by the proxies that the gateway believes, too; empty where none is seen."""
    forwarded = request.headers.get("x-forwarded-for", "")
    return str(settings.FRONT.client(request.META.get("REMOTE_ADDR", ""), forwarded) or "")
