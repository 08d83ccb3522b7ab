"""The application: hot endpoints go to the gateway's own callable, everything else to Django."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fastanchor.settings")
django.setup(set_prefix=False)

from django.core.handlers.asgi import ASGIHandler  # noqa: E402 - Django must be set up first

from fastanchor import bodies  # noqa: E402
from fastanchor.wiring import Process  # noqa: E402
from gateway import app, door  # noqa: E402
from gateway.endpoints import ENDPOINTS  # noqa: E402

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_django = ASGIHandler()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection event of an ASGI server."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["path"] in ENDPOINTS and (gateway := door.gateway()) is not None:
        await app.handle(gateway, scope, receive, send)
    else:
        await bodies.serve(_django, scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    process = Process()
    await process.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await process.stop()
    await send({"type": "lifespan.shutdown.complete"})
