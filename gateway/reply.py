"""The hand-over between the task that earns an answer and the handler that sends it.

The task outlives its caller: it writes into the reply, and goes on when the caller has left. What waits to be sent is
bounded, so a slow reader slows the upstream down instead of filling the memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gateway.errors import GatewayError
from gateway.formats.base import Format

MAX_WAITING_BYTES = 64 * 1024
Headers = list[tuple[str, str]]
# Sent while something that we rely on is away.
DEGRADED = ("x-fa-degraded", "1")


class Copy:
    """What was sent of a reply, for an organization; nothing beyond so many bytes."""

    __slots__ = ("_most_bytes", "organization_id", "sent")

    def __init__(self, organization_id: str, most_bytes: int) -> None:
        self.organization_id = organization_id
        self.sent = bytearray()
        self._most_bytes = most_bytes

    def add(self, piece: bytes) -> None:
        """Take a piece, as far as there is room."""
        self.sent += piece[: self._most_bytes - len(self.sent)]


class Reply:
    """Status and headers, then pieces of the body; one writer, one reader."""

    __slots__ = (
        "_body", "_format", "_is_ended", "_on_leave", "_reader", "_request_id", "_size", "_writer", "copy", "headers", "is_broken", "is_left", "is_stream",
        "moved_at", "status",
    )  # fmt: skip

    def __init__(self, format_: Format, request_id: str) -> None:
        self._format = format_
        self._request_id = request_id
        self.status = 0
        self.headers: Headers = []
        self.is_stream = False
        self.is_left = False
        # The body ended before it was complete; the connection must not end cleanly.
        self.is_broken = False
        # When the reader last took something.
        self.moved_at = time.monotonic()
        self._body: list[bytes] = []
        # Of what is handed over, where its organization wants it kept.
        self.copy: Copy | None = None
        self._size = 0
        self._is_ended = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._on_leave: Callable[[], None] | None = None

    # The writer's side.

    def begin(self, status: int, headers: Headers, *, is_stream: bool = False) -> None:
        """Say status and headers; nothing can be taken back from here on."""
        self.status, self.headers, self.is_stream = status, headers, is_stream
        _wake(self._reader)

    def send(self, piece: bytes) -> None:
        """Hand over a piece of the body; dropped when the caller has left."""
        if piece and not self.is_left:
            self._body.append(piece)
            self._size += len(piece)
            if self.copy is not None:
                self.copy.add(piece)
            _wake(self._reader)

    async def room(self) -> None:
        """Wait until the reader has caught up or left."""
        while self.is_full:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer

    def end(self) -> None:
        """Say that the body is complete."""
        self._is_ended = True
        _wake(self._reader)

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer in one go."""
        self.begin(status, headers)
        self.send(body)
        self.end()

    def fail(self, error: GatewayError, headers: Headers) -> None:
        """Answer with an error; an answer that has begun is broken off instead."""
        if self.status:
            self.is_broken = True
            self.end()
        else:
            status, body = self._format.refusal(error, self._request_id)
            self.whole(status, error.headers() + headers, body)

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Be told when the caller leaves."""
        self._on_leave = callback

    # The reader's side.

    async def begun(self) -> None:
        """Wait for status and headers, or for the caller to leave."""
        while not self.status and not self.is_left:
            await self._wait()

    async def piece(self) -> bytes | None:
        """Return all that waits to be sent, waiting for some; ``None`` at the end."""
        while not self._body:
            if self._is_ended or self.is_left:
                return None
            await self._wait()
        return self.take()

    def take(self) -> bytes:
        """Return all that waits to be sent now, possibly nothing."""
        body = self._body
        self._body, self._size = [], 0
        self.moved_at = time.monotonic()
        _wake(self._writer)
        return body[0] if len(body) == 1 else b"".join(body)

    @property
    def is_complete(self) -> bool:
        """Tell whether the writer has ended and everything was taken."""
        return self._is_ended and not self._body

    @property
    def is_full(self) -> bool:
        """Tell whether the writer should wait."""
        return self._size > MAX_WAITING_BYTES and not self.is_left

    @property
    def waiting_bytes(self) -> int:
        """Return how much waits to be sent."""
        return self._size

    def leave(self) -> None:
        """Say that the caller is gone."""
        if self.is_left or self.is_complete:
            return
        self.is_left = self.is_broken = True
        self._body, self._size = [], 0
        _wake(self._writer)
        _wake(self._reader)
        if self._on_leave is not None:
            self._on_leave()

    async def _wait(self) -> None:
        self._reader = asyncio.get_running_loop().create_future()
        await self._reader


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
