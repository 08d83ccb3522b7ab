"""Who asks on the calm paths of /v1, whose requests Django reads."""

from __future__ import annotations

from django.http import HttpRequest

from accounts.keyring import Caller
from gateway import door
from gateway.runtime import Gateway
from gateway.stages.admit import authenticate


async def enter(request: HttpRequest) -> tuple[Gateway, Caller]:
    """Return this process's gateway and the caller; raises 401 and 503 errors."""
    gateway = door.current()
    headers = {name.lower(): value for name, value in request.headers.items()}
    return gateway, await authenticate(gateway, headers)
