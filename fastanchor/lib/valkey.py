"""Connections to Valkey: one blocking client per process, and a pipelined one for the event loop.

The event-loop client gathers all calls of one loop turn into one write on one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import math
import re
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis
import redis
import redis.asyncio
from django.conf import settings
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.exceptions import NoScriptError
from redis.retry import Retry

from fastanchor.lib.breaker import Breaker

CALM_TIMEOUT_S = 1.0
BRIEF_TIMEOUT_S = 0.3


class ValkeyUnavailable(Exception):
    """Valkey did not answer in time, or answered with an error."""


@functools.cache
def sync_client() -> redis.Redis:
    """Return this process's blocking client; every call ends within a second."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=CALM_TIMEOUT_S,
        socket_connect_timeout=CALM_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
    )


def brief_client() -> redis.Redis:
    """Return a blocking client for work that has more to do than to wait for Valkey."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=BRIEF_TIMEOUT_S,
        socket_connect_timeout=BRIEF_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def calm_client() -> redis.asyncio.Redis:
    """Return an asynchronous client for background work such as listening for changes."""
    # No read timeout: a listener waits for messages for as long as there are none.
    return redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=CALM_TIMEOUT_S)


class Script:
    """A Lua script, called by its digest and loaded when the server does not know it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, client: redis.Redis, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run the script on a blocking client."""
        try:
            return client.evalsha(self.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.eval(self.source, len(keys), *keys, *arguments)


_NO_SCRIPT = Script("")
_SIGN_OF_LIFE = Script("return 1")
_RUN_ID = re.compile(rb"run_id:(\w+)")


class _Call:
    """One script call on its way; known by digest until the server says otherwise."""

    __slots__ = ("arguments", "deadline", "future", "script")

    def __init__(
        self, script: Script, arguments: tuple[Any, ...], future: asyncio.Future[Any], deadline: float
    ) -> None:
        self.script = script
        self.arguments = arguments
        self.future = future
        self.deadline = deadline

    def answer(self, reply: Any) -> None:
        if self.future.done():
            return
        if isinstance(reply, hiredis.ReplyError):
            self.future.set_exception(ValkeyUnavailable(str(reply).split(" ", 1)[0]))
        else:
            self.future.set_result(reply)

    def fail(self, reason: str) -> None:
        if not self.future.done():
            self.future.set_exception(ValkeyUnavailable(reason))


class _Connection(asyncio.Protocol):
    """One connection: commands go out in order, replies come back in order."""

    def __init__(self, breaker: Breaker) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: deque[_Call] = deque()
        self._breaker = breaker
        self._reader = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close("connection lost")

    def data_received(self, data: bytes) -> None:
        self._breaker.is_quiet = False
        if self._breaker.failures:
            self._breaker.heard()
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except (hiredis.ProtocolError, IndexError):
            self.close("protocol error")

    def _take(self, reply: Any) -> None:
        call = self.waiting.popleft()
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
            # After a restart or SCRIPT FLUSH the server has forgotten the scripts: send the source once more.
            self.send([call], by_source=True)
        else:
            call.answer(reply)

    async def order(self, *command: Any) -> Any:
        """Run a plain command, before any script; raises ``ValkeyUnavailable``."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append(_Call(_NO_SCRIPT, (), future, math.inf))
        if self.transport is not None:
            self.transport.write(hiredis.pack_command(command))
        return await future

    def send(self, calls: list[_Call], *, by_source: bool = False) -> None:
        if self.transport is None:
            for call in calls:
                call.fail("connection lost")
            self._breaker.failed()
            return
        self.waiting.extend(calls)
        name, part = ("EVAL", "source") if by_source else ("EVALSHA", "digest")
        packed = [hiredis.pack_command((name, getattr(call.script, part), *call.arguments)) for call in calls]
        self.transport.write(packed[0] if len(packed) == 1 else b"".join(packed))

    def close(self, reason: str) -> None:
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
        waiting, self.waiting = self.waiting, deque()
        for call in waiting:
            call.fail(reason)
        if waiting:
            self._breaker.failed()


class TurnPipeline:
    """Sends all script calls of one event-loop turn in one write, without retries.

    Why not redis-py here: its pipeline costs about 700,000 instructions a turn, four fifths of a request's budget.
    """

    def __init__(self, url: str, *, timeout_s: float = 0.1) -> None:
        self._options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        self._timeout_s = timeout_s
        # Open while Valkey is away: then every call fails at once, but for the owner's probes.
        self.breaker = Breaker()
        # Told when another server answers, or the same one started again; what was queued before fails.
        self.on_new_server: Callable[[], None] = lambda: None
        self._server = b""
        self._unsent: list[_Call] = []
        self._connection: _Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._suspect: _Call | None = None

    async def call(self, script: Script, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """Run a script and return its answer; raises ``ValkeyUnavailable``."""
        return await self.submit(script, keys, arguments)

    def submit(self, script: Script, keys: Sequence[Any], arguments: Sequence[Any]) -> asyncio.Future[Any]:
        """Queue a script for this turn's write and return the future of its answer."""
        if self.breaker.is_open:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.set_exception(ValkeyUnavailable("away"))
            return future
        return self._queue(script, keys, arguments)

    async def probe(self) -> None:
        """Ask for a sign of life, also while nobody else may call; the breaker counts what comes of it."""
        with contextlib.suppress(ValkeyUnavailable):
            await self._queue(_SIGN_OF_LIFE, (), ())
            self.breaker.answered()

    def _queue(self, script: Script, keys: Sequence[Any], arguments: Sequence[Any]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if not self._unsent:
            loop.call_soon(self._flush)
        if self._watchdog is None:
            self._watchdog = loop.call_later(self._timeout_s, self._watch)
        deadline = loop.time() + self._timeout_s
        self._unsent.append(_Call(script, (len(keys), *keys, *arguments), future, deadline))
        return future

    def _flush(self) -> None:
        connection = self._connection
        if connection is not None and connection.transport is not None:
            calls, self._unsent = self._unsent, []
            if calls:
                connection.send(calls)
        elif self._unsent and (self._connecting is None or self._connecting.done()):
            self._connecting = asyncio.get_running_loop().create_task(self._connect(), name="valkey-connect")

    def _watch(self) -> None:
        """Give up on what waits too long; a connection that owes an answer is not trusted with another call."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._watchdog = None
        for call in [call for call in self._unsent if call.deadline <= now]:
            self._unsent.remove(call)
            call.fail("no connection in time")
        oldest = (
            self._connection.waiting[0] if self._connection is not None and self._connection.waiting else None
        )
        if oldest is not None and oldest.deadline <= now:
            # A loop that stood still has its timers before its reads: look again once it has read.
            if oldest is self._suspect and self._connection is not None:
                self._connection.close("no answer in time")
                oldest = None
            self._suspect = oldest
        if self._unsent or oldest is not None:
            self._watchdog = loop.call_later(self._timeout_s / 10, self._watch)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._connection = await self._open()
        except (OSError, TimeoutError, ValkeyUnavailable) as exc:
            unsent, self._unsent = self._unsent, []
            for call in unsent:
                call.fail(type(exc).__name__)
            self.breaker.failed()
            return
        self._flush()

    async def _open(self) -> _Connection:
        loop, options = asyncio.get_running_loop(), self._options
        if "path" in options:
            _, connection = await loop.create_unix_connection(self._new_connection, options["path"])
        else:
            tls = ssl.create_default_context() if options.get("connection_class") is SSLConnection else None
            address = options.get("host", "localhost"), options.get("port", 6379)
            _, connection = await loop.create_connection(self._new_connection, *address, ssl=tls)
        try:
            await self._greet(connection)
        except BaseException:
            # Counted by who wanted to connect.
            connection.waiting.clear()
            connection.close("not welcome")
            raise
        return connection

    def _new_connection(self) -> _Connection:
        return _Connection(self.breaker)

    async def _greet(self, connection: _Connection) -> None:
        options = self._options
        if options.get("password"):
            await connection.order("AUTH", options.get("username") or "default", options["password"])
        if options.get("db"):
            await connection.order("SELECT", options["db"])
        self._meet(await connection.order("INFO", "server"))

    def _meet(self, facts: bytes) -> None:
        found = _RUN_ID.search(facts)
        before, self._server = self._server, found[1] if found else b""
        if before in {b"", self._server}:
            return
        unsent, self._unsent = self._unsent, []
        for call in unsent:
            call.fail("another server")
        self.on_new_server()

    async def close(self) -> None:
        """Wait a moment for what is under way and close the connection."""
        futures = [call.future for call in self._unsent]
        if self._connection is not None:
            futures += [call.future for call in self._connection.waiting]
        if futures:
            await asyncio.wait(futures, timeout=self._timeout_s)
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close("closed")
