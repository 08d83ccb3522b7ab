"""The HTTP client of the hot path: HTTP/1.1 over asyncio with llhttp's parser, pooled, capped, with deadlines.

Why not a client library: per call and concurrency they cost 5 to 400 times as much CPU, and some hold streams back;
a gateway's price is its client. What a library would add (redirects, cookies, decoding, proxies) must not happen here.
Nor does it reach private addresses, unless the settings allow it.

Every wait has a deadline: the exchange carries one point in time, moved by its owner, and one ticker per client
looks after all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterable
from typing import Any, cast

import httptools

from fastanchor.lib.public import public_addresses
from gateway.upstreams.faults import UpstreamBroken, UpstreamTimeout, UpstreamTooLarge, UpstreamUnreachable
from gateway.upstreams.origin import Origin

MAX_HEADER_BYTES = 64 * 1024
MAX_IDLE_S = 30.0
PAUSE_BYTES = 256 * 1024
# How long a connection whose answer is known may take to end it.
LAST_BYTES_S = 1.0
TICK_S = 0.25


class Exchange:
    """One request and its answer; read by one task."""

    __slots__ = (
        "_body", "_client", "_connection", "_error", "_is_complete", "_size", "_waiter", "deadline", "has_answered",
        "headers", "phase", "status",
    )  # fmt: skip

    def __init__(self, client: HttpClient, connection: _Connection, deadline: float) -> None:
        self._client = client
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.deadline = deadline
        self.phase = "answer"
        self.has_answered = False
        self._connection: _Connection | None = connection
        self._body: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._is_complete = False
        self._error: Exception | None = None

    async def ask(self, target: str, *, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """POST ``body`` and wait for status and headers; raises what the module's errors say.

        A pooled connection that the upstream had closed before it heard us is replaced once.
        """
        connection = self._connection
        assert connection is not None
        message = _message(connection.origin, target, headers, body)
        try:
            await self._ask(connection, message)
        except UpstreamBroken as exc:
            if exc.has_answered or not connection.is_reused:
                raise
            self._error = None
            self._connection = await self._client.replace(connection)
            await self._ask(self._connection, message)

    async def get(self, target: str, *, headers: Iterable[tuple[str, str]]) -> None:
        """GET, and wait for status and headers; never on the way of a request."""
        connection = self._connection
        assert connection is not None
        await self._ask(connection, _message(connection.origin, target, headers, b"", "GET"))

    async def _ask(self, connection: _Connection, message: bytes) -> None:
        connection.start(self, message)
        self._client.occupy(connection)
        try:
            while not self.status:
                if self._error is not None:
                    raise self._error
                await self._wait()
        except asyncio.CancelledError:
            self.close()
            raise

    async def piece(self) -> bytes | None:
        """Return everything that has arrived since the last call, waiting for some; ``None`` at the end."""
        while not self._body:
            if self._error is not None:
                raise self._error
            if self._is_complete:
                return None
            await self._wait()
        body = self._body
        self._body, self._size = [], 0
        if self._connection is not None:
            self._connection.resume()
        return body[0] if len(body) == 1 else b"".join(body)

    async def body(self, limit: int) -> bytes:
        """Return the whole body; raises ``UpstreamTooLarge`` beyond ``limit`` bytes."""
        pieces: list[bytes] = []
        size = 0
        while (piece := await self.piece()) is not None:
            size += len(piece)
            if size > limit:
                self.close()
                raise UpstreamTooLarge
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """End the exchange; a connection whose answer is not complete is dropped."""
        if self._connection is not None and not self._is_complete:
            self._connection.abort()
        self._connection = None

    def finish(self) -> None:
        """Read no more; the connection is kept if the protocol's end of the answer comes at once."""
        self.deadline = min(self.deadline, time.monotonic() + LAST_BYTES_S)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Let the reader look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def feed(self, body: bytes) -> bool:
        """Take a part of the body; tells whether the reader has fallen too far behind."""
        self._body.append(body)
        self._size += len(body)
        self.wake()
        return self._size > PAUSE_BYTES

    def complete(self) -> None:
        """Note that the whole answer is here."""
        self._is_complete = True
        self._connection = None
        self.wake()

    def fail(self, error: Exception) -> None:
        """Note that no more will come, and why."""
        if self._error is None and not self._is_complete:
            self._error = error
            self._connection = None
            self.wake()


class _Connection(asyncio.Protocol):
    """One TCP (or TLS) connection; carries one exchange at a time."""

    def __init__(self, client: HttpClient, origin: Origin) -> None:
        self.client = client
        self.origin = origin
        self.exchange: Exchange | None = None
        self.is_reused = False
        self.idle_since = 0.0
        self.transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._header_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._ends_with_connection = False
        self._is_paused = False

    def is_open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def start(self, exchange: Exchange, message: bytes) -> None:
        if self.transport is None:
            raise UpstreamBroken("connection closed", has_answered=False)
        self.exchange = exchange
        self.transport.write(message)

    def resume(self) -> None:
        if self._is_paused and self.transport is not None:
            self._is_paused = False
            self.transport.resume_reading()

    def abort(self) -> None:
        self.client.forget(self)
        self.exchange = None
        if self.transport is not None:
            self.transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            # Nobody asked: a connection that speaks out of turn cannot be trusted with the next request.
            self.abort()
            return
        exchange.has_answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            # The parser wraps what a callback raised.
            too_large = isinstance(exc.__context__, UpstreamTooLarge)
            self._break(
                UpstreamTooLarge() if too_large else UpstreamBroken(type(exc).__name__, has_answered=True)
            )
            return
        if not exchange.status:
            # The parser hands over a header when it is complete, and keeps one that never ends.
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._break(UpstreamTooLarge())

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        exchange = self.exchange
        self.transport = None
        self.client.forget(self)
        if exchange is None:
            return
        self.exchange = None
        if self._ends_with_connection and exc is None and exchange.status:
            exchange.complete()
        else:
            exchange.fail(UpstreamBroken("connection closed", has_answered=exchange.has_answered))

    def _break(self, error: Exception) -> None:
        exchange = self.exchange
        self.abort()
        if exchange is not None:
            exchange.fail(error)

    # What the parser calls.

    def on_message_begin(self) -> None:
        # Trailers of the answer before may be left.
        self._headers.clear()
        self._header_bytes = 0
        if self.exchange is None:
            raise UpstreamBroken("a second answer", has_answered=True)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise UpstreamTooLarge
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, {}
        status = self._parser.get_status_code()
        exchange = self.exchange
        if status < 200 or exchange is None:
            return
        self._ends_with_connection = b"content-length" not in headers and b"transfer-encoding" not in headers
        exchange.status, exchange.headers = status, headers
        exchange.wake()

    def on_body(self, body: bytes) -> None:
        exchange = self.exchange
        if (
            exchange is not None
            and exchange.feed(body)
            and not self._is_paused
            and self.transport is not None
        ):
            self._is_paused = True
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        exchange = self.exchange
        if exchange is None or not exchange.status:
            return
        self.exchange = None
        self.resume()
        exchange.complete()
        self.client.release(
            self, can_stay=self._parser.should_keep_alive() and not self._ends_with_connection
        )


class HttpClient:
    """A pool of connections to any number of origins."""

    def __init__(self, *, connect_s: float = 5.0, allow_private: bool = False) -> None:
        self._connect_s = connect_s
        self._allow_private = allow_private
        self._idle: dict[Origin, list[_Connection]] = {}
        self._busy: set[_Connection] = set()
        self._tls = ssl.create_default_context()
        self._ticker: asyncio.Task[None] | None = None

    async def connect(self, origin: Origin, *, answer_s: float) -> Exchange:
        """Return an exchange on a pooled or new connection, to be asked within ``answer_s`` seconds.

        Raises ``UpstreamUnreachable`` or ``UpstreamTimeout``.
        """
        connection = self._pop_idle(origin) or await self._connect(origin)
        return Exchange(self, connection, time.monotonic() + answer_s)

    async def replace(self, connection: _Connection) -> _Connection:
        """Return a fresh connection to where a pooled one led that was closed while it lay idle."""
        return await self._connect(connection.origin)

    def occupy(self, connection: _Connection) -> None:
        """Watch the deadline of a connection's exchange."""
        self._busy.add(connection)

    async def _connect(self, origin: Origin) -> _Connection:
        self._start_ticker()
        try:
            async with asyncio.timeout(self._connect_s):
                host, is_trusted = origin.host, self._allow_private
                hosts = [host] if is_trusted else await public_addresses(host, origin.port)
                return await self._open(origin, *hosts)
        except TimeoutError:
            raise UpstreamTimeout("connect") from None
        except (OSError, UnicodeError) as exc:
            raise UpstreamUnreachable(type(exc).__name__) from exc

    async def _open(self, origin: Origin, *hosts: str) -> _Connection:
        *others, host = hosts
        for other in others:
            with contextlib.suppress(OSError):
                return await self._open(origin, other)
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self, origin),
            host,
            origin.port,
            ssl=self._tls if origin.is_tls else None,
            server_hostname=origin.host if origin.is_tls else None,
        )
        return connection

    def _pop_idle(self, origin: Origin) -> _Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_open() and time.monotonic() - connection.idle_since < MAX_IDLE_S:
                connection.is_reused = True
                return connection
            connection.abort()
        return None

    def release(self, connection: _Connection, *, can_stay: bool) -> None:
        """Take back a connection whose exchange is complete."""
        self._busy.discard(connection)
        if not can_stay or not connection.is_open():
            connection.abort()
            return
        connection.idle_since = time.monotonic()
        self._idle.setdefault(connection.origin, []).append(connection)

    def forget(self, connection: _Connection) -> None:
        """Drop a connection that is gone."""
        self._busy.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle is not None and connection in idle:
            idle.remove(connection)

    def _start_ticker(self) -> None:
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="upstream-deadlines")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            for connection in [busy for busy in self._busy if busy.exchange and busy.exchange.deadline < now]:
                exchange = connection.exchange
                connection.abort()
                if exchange is not None:
                    exchange.fail(UpstreamTimeout(exchange.phase))
            for connection in [
                idle for idles in self._idle.values() for idle in idles if now - idle.idle_since > MAX_IDLE_S
            ]:
                connection.abort()

    async def close(self) -> None:
        """Drop every connection."""
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        for connection in [*self._busy, *(idle for idles in self._idle.values() for idle in idles)]:
            connection.abort()


def _message(
    origin: Origin, target: str, headers: Iterable[tuple[str, str]], body: bytes, method: str = "POST"
) -> bytes:
    # Identity only: a decoder could turn a small answer into hundreds of megabytes.
    lines = [
        f"{method} {origin.path}{target} HTTP/1.1",
        f"host: {origin.authority}",
        "accept-encoding: identity",
        f"content-length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
