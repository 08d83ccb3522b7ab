"""Answers of Amazon Bedrock's Converse, whole and streamed; shapes: Amazon's reference of ``Converse``."""

from __future__ import annotations

from typing import Any

import msgspec

from catalog.pricing import Usage
from gateway.assembly import Assembly
from gateway.events import (
    Began,
    Cited,
    Done,
    Event,
    Finished,
    FinishReason,
    Reported,
    Result,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Form
from gateway.upstreams.base import NONSENSE, BadAnswer
from gateway.upstreams.bedrock_turns import ORIGIN
from gateway.upstreams.reports import MAX_TOKENS
from gateway.upstreams.wire_names import CalledNames

_ENCODER = msgspec.json.Encoder()
_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


class _ReasoningText(msgspec.Struct):
    text: str = ""
    signature: str = ""


class _Reasoning(msgspec.Struct, rename="camel"):
    reasoning_text: _ReasoningText | None = None
    # The next two belong to streams.
    text: str = ""
    signature: str = ""
    redacted_content: str = ""


class _ToolUse(msgspec.Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    # An object in a whole answer, a piece of its JSON in a stream.
    input: dict[str, Any] | str | None = None


class _Web(msgspec.Struct):
    url: str = ""


class _Location(msgspec.Struct):
    web: _Web | None = None


class _Citation(msgspec.Struct):
    title: str | None = None
    source: str | None = None
    location: _Location | None = None


class _Said(msgspec.Struct):
    text: str = ""


class _Citations(msgspec.Struct):
    content: list[_Said] = []
    citations: list[_Citation] = []


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Citations | None = None
    citation: _Citation | None = None


class _Cached(msgspec.Struct, rename="camel"):
    ttl: str = ""
    input_tokens: int = 0


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_Cached] | None = None


class _Message(msgspec.Struct):
    content: list[_Block]


class _Output(msgspec.Struct):
    message: _Message | None = None


class _Answer(msgspec.Struct, rename="camel"):
    output: _Output
    stop_reason: str
    usage: _Usage | None = None


class _Start(msgspec.Struct, rename="camel"):
    start: _Block | None = None
    content_block_index: int = 0


class _Delta(msgspec.Struct, rename="camel"):
    delta: _Block | None = None
    content_block_index: int = 0


class _Stop(msgspec.Struct, rename="camel"):
    content_block_index: int = 0


class _MessageStop(msgspec.Struct, rename="camel"):
    stop_reason: str


class _Metadata(msgspec.Struct):
    usage: _Usage | None = None


class _StreamEvent(msgspec.Struct, rename="camel"):
    message_start: dict[str, Any] | None = None
    content_block_start: _Start | None = None
    content_block_delta: _Delta | None = None
    content_block_stop: _Stop | None = None
    message_stop: _MessageStop | None = None
    metadata: _Metadata | None = None
    exception: Any = None


_ANSWER = msgspec.json.Decoder(_Answer)
_EVENT = msgspec.json.Decoder(_StreamEvent)


def usage_of(reported: _Usage | None) -> Usage | None:
    """Return a report in our own terms; ``None`` for one that is absent or beyond any model."""
    if reported is None or reported.input_tokens is None or reported.output_tokens is None:
        return None
    read, written = reported.cache_read_input_tokens or 0, reported.cache_write_input_tokens or 0
    kept = sum(each.input_tokens for each in reported.cache_details or () if each.ttl == "1h")
    total, output = reported.input_tokens + read + written, reported.output_tokens
    if reported.total_tokens == reported.input_tokens + output and read + written <= reported.input_tokens:
        # Where the total holds without what was cached, that is part of the input already, if there is room for it.
        total = reported.input_tokens
    counts = (total, read, written, output, kept)
    if min(*counts, reported.input_tokens) < 0 or max(counts) > MAX_TOKENS:
        return None
    return Usage(total, read, written, output, 0, cache_write_1h_tokens=min(kept, written))


def _decoded(event: bytes) -> _StreamEvent:
    try:
        read = _EVENT.decode(event)
    except NONSENSE as exc:
        raise BadAnswer("not an event of Converse") from exc
    if read.exception is not None:
        raise BadAnswer("an exception inside the stream")
    return read


class BedrockReader:
    """Reads one stream of events as ``FrameSplitter`` gives them."""

    def __init__(self, form: Form) -> None:
        self._names = CalledNames(form.tools)
        # The key of a call by the index of its block, and the blocks of calls that have no input yet.
        self._keys: dict[int, int] = {}
        self._bare: set[int] = set()
        self._has_content = False

    def feed(self, event: bytes) -> list[Event]:
        """See ``Reader.feed``."""
        read = _decoded(event)
        events: list[Event] = []
        if read.message_start is not None:
            events.append(Began())
        if read.content_block_start is not None:
            events += self.start(read.content_block_start.start, read.content_block_start.content_block_index)
        if read.content_block_delta is not None:
            events += self.delta(read.content_block_delta.delta, read.content_block_delta.content_block_index)
        if read.content_block_stop is not None:
            events += self.stop(read.content_block_stop.content_block_index)
        if read.message_stop is not None:
            events.append(self.finish(read.message_stop.stop_reason))
        if read.metadata is not None:
            events += [*_report(read.metadata.usage), Done()]
        return events

    def start(self, block: _Block | None, index: int) -> list[Event]:
        """Begin a block; only those of calls are announced."""
        if block is None or block.tool_use is None:
            return []
        key = self._keys[index] = len(self._keys)
        self._bare.add(index)
        self._has_content = True
        name, namespace = self._names.of(block.tool_use.name)
        return [ToolBegan(key, block.tool_use.tool_use_id, name, namespace=namespace)]

    def delta(self, block: _Block | None, index: int) -> list[Event]:
        """Add to a block."""
        if block is None:
            return []
        events: list[Event] = []
        if block.text:
            self._has_content = True
            events.append(TextDelta(block.text))
        if block.reasoning_content is not None:
            events += _reasoning(block.reasoning_content)
        if block.tool_use is not None and isinstance(block.tool_use.input, str) and block.tool_use.input:
            if index not in self._keys:
                raise BadAnswer("input for a call that was not announced")
            self._bare.discard(index)
            events.append(ToolDelta(self._keys[index], block.tool_use.input))
        if block.citation is not None:
            events += _cited(block.citation)
        return events

    def stop(self, index: int) -> list[Event]:
        """End a block; a call without input gets the empty one, which clients can read."""
        if index not in self._bare:
            return []
        self._bare.discard(index)
        return [ToolDelta(self._keys[index], "{}")]

    def finish(self, reason: str) -> Finished:
        """End the answer."""
        finish = _REASONS.get(reason)
        if finish is None:
            # What the model wrote could not be read; with nothing else to show, it is no answer.
            if not self._has_content:
                raise BadAnswer(f"finished with {reason[:40]}")
            finish = "stop"
        return Finished("tool_calls" if finish == "stop" and self._keys else finish)

    def whole(self, block: _Block, index: int) -> list[Event]:
        """Read a block of a whole answer."""
        events: list[Event] = []
        if block.tool_use is not None:
            events += self.start(block, index)
            given = block.tool_use.input
            events.append(
                ToolDelta(
                    self._keys[index], _ENCODER.encode(given if isinstance(given, dict) else {}).decode()
                )
            )
            return events
        if block.citations_content is not None:
            events += [TextDelta(said.text) for said in block.citations_content.content if said.text]
            events += [event for each in block.citations_content.citations for event in _cited(each)]
            self._has_content = self._has_content or bool(events)
        return events + self.delta(block, index)


def _reasoning(reasoning: _Reasoning) -> list[Event]:
    whole = reasoning.reasoning_text or _ReasoningText(reasoning.text, reasoning.signature)
    events: list[Event] = []
    if whole.text:
        events.append(ThinkingDelta(whole.text))
    if whole.signature:
        events.append(ThinkingSealed(whole.signature, ORIGIN))
    if reasoning.redacted_content:
        events.append(ThinkingSealed(reasoning.redacted_content, ORIGIN, is_redacted=True))
    return events


def _cited(citation: _Citation) -> list[Event]:
    web = citation.location.web if citation.location else None
    url = (web and web.url) or citation.source or ""
    return [Cited(url, citation.title or "")] if url else []


def _report(reported: _Usage | None) -> list[Event]:
    usage = usage_of(reported)
    return [] if usage is None else [Reported(usage)]


def whole_answer(body: bytes, form: Form) -> Result:
    """Read an answer that came at once; raises ``BadAnswer``."""
    try:
        answer = _ANSWER.decode(body)
    except NONSENSE as exc:
        raise BadAnswer("not an answer of Converse") from exc
    reader, assembly = BedrockReader(form), Assembly()
    blocks = answer.output.message.content if answer.output.message else []
    for index, block in enumerate(blocks):
        assembly.take(reader.whole(block, index))
    assembly.take([reader.finish(answer.stop_reason), *_report(answer.usage)])
    return assembly.result()
