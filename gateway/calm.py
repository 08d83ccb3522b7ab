"""Who asks on the calm paths of /v1, whose requests Django reads."""

from __future__ import annotations

from django.http import HttpRequest

from accounts.keyring import Caller
from gateway import door
from gateway.call import Source
from gateway.runtime import Gateway
from gateway.stages.admit import authenticate


async def enter(request: HttpRequest) -> tuple[Gateway, Caller]:
    """Return this process's gateway and the caller; raises 401, 403 and 503 errors."""
    gateway = door.current()
    headers = {name.lower(): value for name, value in request.headers.items()}
    return gateway, await authenticate(gateway, headers, source_of(request))


def source_of(request: HttpRequest) -> Source:
    """Return where a request came from; Django has joined the lines of a header."""
    forwarded = request.headers.get("x-forwarded-for", "")
    return Source(
        request.META.get("REMOTE_ADDR", ""), ((b"x-forwarded-for", forwarded.encode("latin-1", "replace")),)
    )
