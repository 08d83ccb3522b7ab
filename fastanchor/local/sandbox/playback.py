"""Sending an answer at a model's pace, or breaking it off as ordered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox import wire
from fastanchor.local.sandbox.answers import Answer, Delta
from fastanchor.local.sandbox.chat_request import ChatRequest
from fastanchor.local.sandbox.directives import Directive
from fastanchor.local.sandbox.log import Entry

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON = "application/json"
_EVENTS = "text/event-stream; charset=utf-8"
_HTML = b"<!doctype html><html><head><title>Just a moment...</title></head><body>Checking your browser.</body></html>"
_GARBAGE = b'data: {"id":"chatcmpl-1","object":"chat.comp\xff\xfe\n\n'
_SERVER_ERROR = msgspec.json.encode(wire.error(500))


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
    """The response of one request."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def start(self, status: int, content_type: str, extra: dict[str, str] | None = None) -> None:
        """Send the status and the headers that OpenAI sends, its account's limits included."""
        headers = {
            "content-type": content_type,
            "x-request-id": f"req_{random_base62(32)}",
            "openai-processing-ms": "12",
            "openai-organization": "sandbox",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-remaining-requests": "9999",
            **(extra or {}),
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, part: bytes) -> None:
        """Send a part of the body at once."""
        await self._send({"type": "http.response.body", "body": part, "more_body": True})

    async def end(self, part: bytes = b"") -> None:
        """Send the last part."""
        await self._send({"type": "http.response.body", "body": part, "more_body": False})

    async def whole(self, status: int, body: bytes, content_type: str = _JSON, **extra: str) -> None:
        """Send a complete response."""
        await self.start(status, content_type, {"content-length": str(len(body)), **extra})
        await self.end(body)

    async def json(self, status: int, value: Any, **extra: str) -> None:
        """Send a complete response in JSON."""
        await self.whole(status, msgspec.json.encode(value), **extra)


@dataclass(frozen=True, slots=True)
class Playback:
    """One answer on its way to one caller."""

    request: ChatRequest
    directive: Directive
    answer: Answer
    usage: dict[str, Any]
    pace: Pace
    out: Outgoing
    entry: Entry

    async def play(self) -> None:
        """Send the answer; raises ``BrokenOff`` where the connection must be closed instead."""
        nonsense = self._nonsense()
        if nonsense is not None:
            self.entry.outcome = "refused"
            await self.out.whole(200, *nonsense)
        elif self.request.stream:
            await self._stream()
        else:
            await self._answer_whole()

    def _nonsense(self) -> tuple[bytes, str] | None:
        """Return an ordered body, with its type, that is no answer although the status says 200."""
        order, content_type = self.directive, _EVENTS if self.request.stream else _JSON
        if order.html:
            return _HTML, "text/html"
        if order.garbage:
            return _GARBAGE, content_type
        if order.empty:
            return b"", content_type
        if order.error_first:
            return self._chunks().error(500) if self.request.stream else _SERVER_ERROR, content_type
        return None

    async def _answer_whole(self) -> None:
        completion = wire.completion(self._model(), self.answer, self._reported())
        self.entry.answer_id = completion["id"]
        body = msgspec.json.encode(completion)
        try:
            await self._think()
        except OrderedError:
            self.entry.outcome = "cut"
            await self.out.whole(500, _SERVER_ERROR)
        except BrokenOff:
            await self.out.start(200, _JSON, {"content-length": str(len(body))})
            await self.out.write(body[: len(body) // 2])
            raise
        else:
            self._finish()
            await self.out.whole(200, body)

    async def _think(self) -> None:
        """Take as long as the stream would."""
        await _pause(self.pace.first_ms)
        async for _, _, tokens in self._spoken():
            self.entry.count(tokens)
            await _pause(self.pace.delay_ms)

    async def _stream(self) -> None:
        chunks = self._chunks()
        self.entry.answer_id = chunks.answer_id
        await self.out.start(200, _EVENTS, {"cache-control": "no-cache"})
        for index in range(len(self.answer.choices)):
            await self._write(chunks.delta(index, {"role": "assistant", "content": "", "refusal": None}))
        if self.directive.role_only_then_close:
            raise BrokenOff
        await _pause(self.pace.first_ms)
        try:
            await self._stream_tokens(chunks)
        except OrderedError:
            self.entry.outcome = "cut"
            await self.out.end(chunks.error(500))
        else:
            await self._stream_end(chunks)

    async def _stream_tokens(self, chunks: wire.Chunks) -> None:
        async for index, delta, tokens in self._spoken():
            if self.directive.comments:
                await self._write(chunks.comment())
            await self._write(chunks.delta(index, delta))
            self.entry.count(tokens)
            await _pause(self.pace.delay_ms, yields=True)

    async def _spoken(self) -> AsyncIterator[Delta]:
        """Yield the deltas up to the point where the answer is ordered to go wrong."""
        sent = 0
        for delta in self._deltas():
            await self._go_wrong(sent)
            yield delta
            sent += delta[2]
        await self._go_wrong(sent)

    def _deltas(self) -> Iterator[Delta]:
        if self.directive.big_line:
            yield 0, {"content": "x" * self.directive.big_line}, 1
        yield from self.answer.deltas()

    async def _go_wrong(self, sent: int) -> None:
        if self.directive.close_after == sent:
            raise BrokenOff
        if self.directive.error_after == sent:
            raise OrderedError
        if self.directive.stall_after == sent:
            await asyncio.Event().wait()

    async def _stream_end(self, chunks: wire.Chunks) -> None:
        if not self.directive.no_finish:
            for index, choice in enumerate(self.answer.choices):
                await self._write(chunks.delta(index, {}, choice.finish_reason))
        self._finish()
        if self.request.wants_usage and not self.directive.no_usage:
            await self._write(chunks.usage(self.usage))
        await self.out.end(b"" if self.directive.no_done else chunks.event(b"[DONE]"))

    def _chunks(self) -> wire.Chunks:
        return wire.Chunks(
            self._model(),
            has_usage=self.request.wants_usage,
            is_padded=self.request.wants_obfuscation,
            is_spaced=self.directive.spaced,
            line_end=b"\r\n" if self.directive.crlf else b"\n",
        )

    def _model(self) -> str:
        return self.directive.model or self.request.model

    def _reported(self) -> dict[str, Any] | None:
        return None if self.directive.no_usage else self.usage

    def _finish(self) -> None:
        self.entry.outcome = "finished"
        self.entry.completion_tokens = self.usage["completion_tokens"]

    async def _write(self, event: bytes) -> None:
        if not self.directive.split:
            return await self.out.write(event)
        for byte in event:
            await self.out.write(bytes([byte]))
        return None


async def _pause(ms: int, *, yields: bool = False) -> None:
    """Sleep; ``yields`` lets others run even without a pause, so that a hang-up is noticed."""
    if ms or yields:
        await asyncio.sleep(ms / 1000)
