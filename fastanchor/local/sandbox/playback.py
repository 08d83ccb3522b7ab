"""Sending an answer at a model's pace, or breaking it off as ordered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from fastanchor.local.sandbox.answers import Answer, Delta
from fastanchor.local.sandbox.dialect import Dialect, Event, Frames, Voice, refusal
from fastanchor.local.sandbox.directives import Directive
from fastanchor.local.sandbox.log import Entry

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = "application/json"
_HTML = b"<!doctype html><html><head><title>Just a moment...</title></head><body>Checking your browser.</body></html>"
_GARBAGE = b'data: {"id":"chatcmpl-1","object":"chat.comp\xff\xfe\n\n'


class BrokenOff(Exception):
    """The connection is to be closed although the answer is not complete."""


class OrderedError(Exception):
    """The model is to fail while it speaks."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Milliseconds before the first token and between two."""

    first_ms: int
    delay_ms: int


class Outgoing:
    """The response of one request; every response carries ``usual`` headers."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.usual: dict[str, str] = {}

    async def start(self, status: int, content_type: str, extra: dict[str, str] | None = None) -> None:
        """Send the status and the headers."""
        headers = {"content-type": content_type, **self.usual, **(extra or {})}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, part: bytes) -> None:
        """Send a part of the body at once."""
        await self._send({"type": "http.response.body", "body": part, "more_body": True})

    async def end(self, part: bytes = b"") -> None:
        """Send the last part."""
        await self._send({"type": "http.response.body", "body": part, "more_body": False})

    async def whole(self, status: int, body: bytes, content_type: str = JSON, **extra: str) -> None:
        """Send a complete response."""
        await self.start(status, content_type, {"content-length": str(len(body)), **extra})
        await self.end(body)

    async def json(self, status: int, value: Any, **extra: str) -> None:
        """Send a complete response in JSON."""
        await self.whole(status, msgspec.json.encode(value), **extra)


@dataclass(frozen=True, slots=True)
class Playback:
    """One answer on its way to one caller."""

    dialect: Dialect
    voice: Voice
    frames: Frames
    directive: Directive
    answer: Answer
    is_stream: bool
    output_tokens: int
    pace: Pace
    out: Outgoing
    entry: Entry

    async def play(self) -> None:
        """Send the answer; raises ``BrokenOff`` where the connection must be closed instead."""
        nonsense = self._nonsense()
        if nonsense is not None:
            self.entry.outcome = "refused"
            await self.out.whole(200, *nonsense)
        elif self.is_stream:
            await self._stream()
        else:
            await self._answer_whole()

    def _nonsense(self) -> tuple[bytes, str] | None:
        """Return an ordered body, with its type, that is no answer although the status says 200."""
        order, content_type = self.directive, self.frames.content_type if self.is_stream else JSON
        if order.html:
            return _HTML, "text/html"
        if order.garbage:
            return _GARBAGE, content_type
        if order.empty:
            return b"", content_type
        if order.error_first:
            return self._first_error(), content_type
        return None

    def _first_error(self) -> bytes:
        if self.is_stream:
            return b"".join(map(self.frames.event, self.voice.failure()))
        return msgspec.json.encode(self.dialect.error(refusal(500)))

    async def _answer_whole(self) -> None:
        completion = self.voice.whole()
        self.entry.answer_id = self.voice.answer_id
        body = b"\n" * self.directive.blank + msgspec.json.encode(completion)
        try:
            await self._think()
        except OrderedError:
            self.entry.outcome = "cut"
            failed = refusal(500)
            await self.out.json(500, self.dialect.error(failed), **self.dialect.error_headers(failed))
        except BrokenOff:
            await self.out.start(200, JSON, {"content-length": str(len(body))})
            await self.out.write(body[: len(body) // 2])
            raise
        else:
            self._finish()
            await self.out.whole(200, body)

    async def _think(self) -> None:
        """Take as long as the stream would."""
        await _pause(self.pace.first_ms)
        async for delta in self._spoken():
            self.entry.count(delta.tokens)
            await _pause(self.pace.delay_ms)

    async def _stream(self) -> None:
        self.entry.answer_id = self.voice.answer_id
        await self.out.start(200, self.frames.content_type, {"cache-control": "no-cache"})
        for _ in range(self.directive.blank):
            await self._live()
        await self._write(self.voice.opening())
        if self.directive.role_only_then_close:
            raise BrokenOff
        await _pause(self.pace.first_ms)
        try:
            await self._stream_tokens()
        except OrderedError:
            self.entry.outcome = "cut"
            await self._write(self.voice.failure())
        else:
            self._finish()
            await self._write(self.voice.closing())
        await self.out.end()

    async def _stream_tokens(self) -> None:
        async for delta in self._spoken():
            if self.directive.comments:
                await self._live()
            await self._write(self.voice.say(delta))
            self.entry.count(delta.tokens)
            await _pause(self.pace.delay_ms, yields=True)

    async def _live(self) -> None:
        await self._send(self.frames.comment(self.voice.comment()))

    async def _spoken(self) -> AsyncIterator[Delta]:
        """Yield the deltas up to the point where the answer is ordered to go wrong."""
        sent = 0
        for delta in self.answer.deltas():
            await self._go_wrong(sent)
            yield delta
            sent += delta.tokens
        await self._go_wrong(sent)

    async def _go_wrong(self, sent: int) -> None:
        if self.directive.close_after == sent:
            raise BrokenOff
        if self.directive.fails_after == sent:
            raise OrderedError
        if self.directive.stall_after == sent:
            await asyncio.Event().wait()

    def _finish(self) -> None:
        self.entry.outcome = "finished"
        self.entry.completion_tokens = self.output_tokens

    async def _write(self, events: list[Event]) -> None:
        for event in events:
            await self._send(self.frames.event(event))

    async def _send(self, event: bytes) -> None:
        if not self.directive.split:
            return await self.out.write(event)
        for byte in event:
            await self.out.write(bytes([byte]))
        return None


async def _pause(ms: int, *, yields: bool = False) -> None:
    """Sleep; ``yields`` lets others run even without a pause, so that a hang-up is noticed."""
    if ms or yields:
        await asyncio.sleep(ms / 1000)
