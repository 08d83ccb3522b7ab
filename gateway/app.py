"""The fast lane: an ASGI callable for the hot endpoints, in front of Django.

The same work as a Django view costs ten times the CPU. This adapter reads the body under a cap and a deadline, hands
it to the pipeline, sends the reply, and notices when the caller hangs up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from fastanchor.lib.long_waits import LongWaits
from gateway.call import Request, Source
from gateway.endpoints import ENDPOINTS
from gateway.errors import BodyTimeout, GatewayError, MethodNotAllowed, RequestTooLarge, ServiceUnavailable
from gateway.pipeline import serve
from gateway.reply import Reply
from gateway.runtime import Gateway
from gateway.stages.admit import authenticate

_READ_HEADERS = frozenset(
    {
        b"anthropic-beta",
        b"anthropic-version",
        b"api-key",
        b"authorization",
        b"content-length",
        b"content-type",
        b"x-api-key",
    }
)
# Of a connection by a Unix socket.
_UNKNOWN = ("", 0)
CLOSING = (("connection", "close"),)
# Bytes a second by which a body must grow beyond its first seconds.
SLOWEST_BODY = 16 * 1024
# How long a body that was refused is still read.
DISCARD_S = 5.0
# How much of a body is taken from somebody who has not shown a key that opens anything.
MAX_STRANGERS_BYTES = 256 * 1024

# Where a server offers the short way in the scope's state.
EXCHANGE = "exchange"

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class CallerGone(Exception):
    """The caller hung up before the body was complete."""


class Exchange(Protocol):
    """The short way for a body and an answer that are whole; ``fastanchor.exchange`` implements it."""

    def take_body(self) -> bytes | None:
        """Return the whole body if it is here."""

    async def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send a whole answer."""


async def handle(gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request on a hot path."""
    format_ = ENDPOINTS[scope["path"]]
    headers = {
        name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _READ_HEADERS
    }
    source = Source((scope.get("client") or _UNKNOWN)[0], scope["headers"])
    exchange: Exchange | None = scope.get("state", {}).get(EXCHANGE)
    try:
        _check_head(gateway, scope["method"], headers)
        body = exchange.take_body() if exchange is not None else None
        if body is None:
            body = await _body(gateway, headers, source, receive)
        elif len(body) > gateway.max_body_bytes:
            raise _too_large(gateway)
    except CallerGone:
        return
    except GatewayError as error:
        await _refuse(error, Request(headers, b"", format_), receive, send)
        return
    request = Request(headers, body, format_, source)
    await _send_reply(serve(gateway, request), gateway.waits, receive, send, exchange)


def _check_head(gateway: Gateway, method: str, headers: dict[str, str]) -> None:
    if method != "POST":
        raise MethodNotAllowed("This path takes POST only.", headers=(("allow", "POST"),))
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > gateway.max_body_bytes:
        raise _too_large(gateway)


async def _body(gateway: Gateway, headers: dict[str, str], source: Source, receive: Receive) -> bytes:
    arriving = _Arriving(gateway, headers, source)
    try:
        async with asyncio.timeout(None) as deadline:
            return await arriving.whole(receive, deadline)
    except TimeoutError:
        raise BodyTimeout("The body did not arrive in time. Send it at once.", headers=CLOSING) from None


class _Arriving:
    """A body on its way: within a size, a time, and the room that there is for all of them."""

    __slots__ = ("_gateway", "_headers", "_is_strange", "_parts", "_size", "_source")

    def __init__(self, gateway: Gateway, headers: dict[str, str], source: Source) -> None:
        self._gateway = gateway
        self._headers = headers
        self._source = source
        self._is_strange = True
        self._parts: list[bytes] = []
        self._size = 0

    async def whole(self, receive: Receive, deadline: asyncio.Timeout) -> bytes:
        """Return the body; raises 401, 403, 413 and 503 errors, and ``TimeoutError`` after the deadline that it sets."""
        until = asyncio.get_running_loop().time() + self._gateway.deadlines.body_s

        def hurry() -> None:
            deadline.reschedule(until + self._size / SLOWEST_BODY)

        self._gateway.waits.begin(hurry)
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise CallerGone
                part: bytes = message.get("body", b"")
                if (
                    not message.get("more_body")
                    and not self._parts
                    and len(part) <= self._gateway.max_body_bytes
                ):
                    return part
                await self._take(part)
                if not message.get("more_body"):
                    return b"".join(self._parts)
                if deadline.when() is not None:
                    hurry()
        finally:
            self._gateway.waits.end(hurry)
            self._gateway.arriving_bytes -= self._size

    async def _take(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        self._gateway.arriving_bytes += len(part)
        if self._size > self._gateway.max_body_bytes:
            raise _too_large(self._gateway)
        if self._size > MAX_STRANGERS_BYTES and self._is_strange:
            self._is_strange = False
            await authenticate(self._gateway, self._headers, self._source)
        if self._gateway.arriving_bytes > self._gateway.max_arriving_bytes:
            message = "Too many large bodies are on their way. Try again soon."
            raise ServiceUnavailable(message, retry_after_s=1, headers=CLOSING)


def _too_large(gateway: Gateway) -> GatewayError:
    limit = gateway.max_body_bytes // (1024 * 1024)
    return RequestTooLarge(f"The body is larger than {limit} MiB. Shorten it.", headers=CLOSING)


async def _refuse(error: GatewayError, request: Request, receive: Receive, send: Send) -> None:
    reply = Reply(request.format, request.id)
    reply.fail(error, request.format.headers(request.id))
    await _start(reply, send)
    await send({"type": "http.response.body", "body": reply.take(), "more_body": True})
    if not isinstance(error, BodyTimeout | MethodNotAllowed):
        # Closing now would reset a connection that still uploads, and the answer would be lost with it.
        await discard(receive)
    await send({"type": "http.response.body", "body": b""})


async def discard(receive: Receive) -> None:
    """Read on for a while, so that who still sends finds the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while (await receive()).get("more_body"):
                pass


async def _send_reply(
    reply: Reply, waits: LongWaits, receive: Receive, send: Send, exchange: Exchange | None = None
) -> None:
    watchers: list[asyncio.Task[None]] = []

    # A server tells of a hang-up only to those who listen; most calls end before it pays to.
    def listen() -> None:
        watchers.append(asyncio.get_running_loop().create_task(_watch(reply, receive)))

    waits.begin(listen)
    try:
        await reply.begun()
        if reply.is_left:
            return
        if not reply.is_stream:
            await _send_whole(reply, send, exchange)
            return
        await _start(reply, send)
        while (piece := await reply.piece()) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        # Without its last part the server drops the connection, and the caller sees a broken answer.
        if not reply.is_broken:
            await send({"type": "http.response.body", "body": b""})
    except OSError:
        # How newer servers say that the caller is gone.
        pass
    finally:
        reply.leave()
        waits.end(listen)
        for watcher in watchers:
            watcher.cancel()


async def _send_whole(reply: Reply, send: Send, exchange: Exchange | None) -> None:
    if exchange is not None:
        await exchange.answer(reply.status, reply.headers, reply.take())
    else:
        await _start(reply, send)
        await send({"type": "http.response.body", "body": reply.take()})


async def _start(reply: Reply, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in reply.headers]
    if not reply.is_stream:
        headers.append((b"content-length", str(reply.waiting_bytes).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})


async def _watch(reply: Reply, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reply.leave()
