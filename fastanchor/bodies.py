"""Bodies on their way to Django: in time and within a size, or refused before a view sees them.

Django reads a body to its end, onto the disk where it is large, however long that takes and whoever sends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings

from gateway.app import CLOSING, SLOWEST_BODY, discard
from gateway.envelope import is_anthropic_path, suited
from gateway.errors import BodyTimeout, GatewayError, RequestTooLarge

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# What forms, webhooks and the admin's longest texts need.
MAX_PAGE_BYTES = 4 * 1024 * 1024
_GONE = {"type": "http.disconnect"}


async def serve(application: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request by an application that may wait for its body as long as it likes."""
    most = settings.MAX_BODY_BYTES if scope["path"].startswith("/v1/") else MAX_PAGE_BYTES
    body = _Body(receive, most)
    if _announced(scope) > most:
        body.refusal = _too_large(most)
    else:
        await application(scope, body.receive, send)
    if body.refusal is not None:
        await _refuse(body.refusal, scope, receive, send)


class _Body:
    """What an application receives; one that is refused looks as if its sender had hung up."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.refusal: GatewayError | None = None
        self._receive = receive
        self._most = most
        self._size = 0
        self._is_whole = False
        self._until = asyncio.get_running_loop().time() + settings.BODY_S

    async def receive(self) -> Message:
        """Return the next message, in time and within the size."""
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until + self._size / SLOWEST_BODY):
                message = await self._receive()
        except TimeoutError:
            self.refusal = BodyTimeout("The body did not arrive in time. Send it at once.", headers=CLOSING)
            return _GONE
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            self.refusal = _too_large(self._most)
            return _GONE
        self._is_whole = not message.get("more_body")
        return message


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(length) if length.isdigit() else 0


def _too_large(most: int) -> GatewayError:
    return RequestTooLarge(
        f"The body is larger than {most // (1024 * 1024)} MiB. Shorten it.", headers=CLOSING
    )


async def _refuse(error: GatewayError, scope: Scope, receive: Receive, send: Send) -> None:
    status, headers, body = _written(error, scope)
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if isinstance(error, RequestTooLarge):
        await discard(receive)
    await send({"type": "http.response.body", "body": b""})


def _written(error: GatewayError, scope: Scope) -> tuple[int, list[tuple[str, str]], bytes]:
    if not scope["path"].startswith("/v1"):
        headers = [("content-type", "text/plain; charset=utf-8"), *CLOSING]
        return error.status, headers, error.message.encode()
    names = {name for name, _ in scope["headers"]}
    return suited(error, is_anthropic=b"anthropic-version" in names or is_anthropic_path(scope["path"]))
