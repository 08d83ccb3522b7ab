"""Reads chat completions and their chunks as any server writes them.

Differences that were seen on the wire: tool calls without an index, in one piece, or numbered alike; a finish reason
``stop`` although tools were called; thoughts in ``reasoning_content``, ``reasoning``, ``reasoning_details`` or a list
of content parts; usage beside the last choice, in a chunk of its own, inside a choice, or under a vendor's name; an
error in the place of an answer; no ``[DONE]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.events import (
    Began,
    Cited,
    Done,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Reported,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
)
from gateway.form import Form, WebSearch
from gateway.upstreams import openai_wire
from gateway.upstreams.base import NONSENSE, BadAnswer
from gateway.upstreams.openai_chat_calls import CallDelta, CallReader, FunctionDelta
from gateway.upstreams.wire_names import CalledNames


class _Delta(msgspec.Struct):
    # Mistral sends its thinking as a list of parts.
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Any] | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    tool_calls: list[CallDelta] | None = None
    function_call: FunctionDelta | None = None


class _Logprobs(msgspec.Struct):
    content: list[openai_wire.Token] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None
    # Moonshot reports here.
    usage: Any = None


class _Groq(msgspec.Struct):
    usage: Any = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    created: float | None = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: _Groq | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)


def plain_reason(reason: str, *, has_calls: bool) -> FinishReason:
    """Return a server's finish reason in OpenAI's words; raises ``BadAnswer`` for one that means a failure."""
    if reason in _BROKEN:
        raise BadAnswer(f"finished with {reason}")
    kind = REASONS.get(reason, "stop")
    # Gemini and others say "stop" although tools are to be called.
    return "tool_calls" if has_calls and kind == "stop" else kind


# What servers say at the end, in OpenAI's words.
REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    # Mistral, Z.AI, and servers that pass on another protocol's words.
    "model_length": "length",
    "max_tokens": "length",
    "sensitive": "content_filter",
    "tool_use": "tool_calls",
}
# The provider gave up: DeepSeek, Z.AI, OpenRouter and Mistral in their own words.
_BROKEN = frozenset({"error", "insufficient_system_resource", "network_error", "abort"})


class ChatReader:
    """Reads one answer; see ``Reader``."""

    def __init__(self, form: Form) -> None:
        self._names = CalledNames(form.tools)
        self._has_search = any(isinstance(tool, WebSearch) for tool in form.tools)
        self._calls: dict[int, CallReader] = {}
        self._ended: set[int] = set()
        self._has_begun = False

    def feed(self, event: bytes) -> list[Event]:
        """See ``Reader.feed``."""
        if event == b"[DONE]":
            return [Done()]
        return list(self._read(_decode(event)))

    def read_whole(self, body: bytes) -> list[Event]:
        """Read an answer that came in one piece, as events; raises ``BadAnswer``."""
        chunk = _decode(body)
        if not chunk.choices or any(choice.message is None for choice in chunk.choices):
            raise BadAnswer("no chat completion")
        for place, choice in enumerate(chunk.choices):
            choice.index = place
            choice.finish_reason = choice.finish_reason or "stop"
        return list(self._read(chunk))

    def _read(self, chunk: _Chunk) -> Iterator[Event]:
        if chunk.error or chunk.object == "error":
            raise BadAnswer("an error in the place of an answer")
        if not self._has_begun:
            self._has_begun = True
            yield Began(chunk.id or "", int(chunk.created or 0))
        usage = chunk.usage or (chunk.x_groq.usage if chunk.x_groq else None)
        for choice in chunk.choices or ():
            usage = usage or choice.usage
            if choice.index not in self._ended:
                yield from self._choice(choice)
        if usage is not None and (reported := openai_wire.usage_of(usage, has_search=self._has_search)):
            yield Reported(reported)

    def _choice(self, choice: _Choice) -> Iterator[Event]:
        said = choice.delta or choice.message
        if said is not None:
            yield from _said(said, choice)
            if said.tool_calls or said.function_call:
                yield from self._called(choice.index, said)
        if choice.finish_reason:
            yield from self._finish(choice.index, choice.finish_reason)

    def _called(self, index: int, said: _Delta) -> Iterator[Event]:
        calls = self._calls.get(index)
        if calls is None:
            calls = self._calls[index] = CallReader(index, self._names)
        for call in said.tool_calls or ():
            yield from calls.take(call)
        if said.function_call and not said.tool_calls:
            yield from calls.take(CallDelta(index=0, function=said.function_call))

    def _finish(self, index: int, reason: str) -> Iterator[Event]:
        self._ended.add(index)
        yield Finished(plain_reason(reason, has_calls=index in self._calls), index)


def _decode(raw: bytes) -> _Chunk:
    try:
        return _CHUNK.decode(raw)
    except NONSENSE as exc:
        raise BadAnswer("not a chat completion") from exc


def _said(said: _Delta, choice: _Choice) -> Iterator[Event]:
    index = choice.index
    if thought := said.reasoning_content or said.reasoning:
        yield ThinkingDelta(thought, index)
    if said.reasoning_details:
        yield from _details(said.reasoning_details, index, has_text=bool(thought))
    if isinstance(said.content, list):
        yield from _parts(said.content, index)
    elif said.content:
        told = choice.logprobs.content if choice.logprobs else None
        yield TextDelta(said.content, index, openai_wire.logprobs_of(told))
    if said.refusal:
        yield RefusalDelta(said.refusal, index)
    for annotation in said.annotations or ():
        yield from _cited(annotation, index)


def _parts(parts: list[Any], index: int) -> Iterator[Event]:
    for part in parts:
        if not isinstance(part, dict):
            raise BadAnswer("a content part that is none")
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            for thought in inner if isinstance(inner, list) else [{"text": inner}]:
                text = thought.get("text") if isinstance(thought, dict) else None
                if text and isinstance(text, str):
                    yield ThinkingDelta(text, index)
        elif isinstance(text := part.get("text"), str) and text:
            yield TextDelta(text, index)


def _details(details: list[Any], index: int, *, has_text: bool) -> Iterator[Event]:
    """Read OpenRouter's ``reasoning_details``; its seals are kept whole, without the text that stands beside them."""
    for detail in details:
        if not isinstance(detail, dict):
            continue
        text = detail.get("text") or detail.get("summary")
        if isinstance(text, str) and text and not has_text:
            yield ThinkingDelta(text, index)
        if detail.get("signature") or detail.get("data"):
            kept = {key: value for key, value in detail.items() if key not in {"text", "summary"}}
            seal = msgspec.json.encode(kept).decode()
            yield ThinkingSealed(seal, "openrouter", is_redacted=bool(detail.get("data")), choice=index)


def _cited(annotation: Any, index: int) -> Iterator[Event]:
    citation = annotation.get("url_citation") if isinstance(annotation, dict) else None
    if not isinstance(citation, dict) or not isinstance(citation.get("url"), str):
        return
    title, start, end = citation.get("title"), citation.get("start_index"), citation.get("end_index")
    yield Cited(
        url=citation["url"],
        title=title if isinstance(title, str) else "",
        start=start if isinstance(start, int) else -1,
        end=end if isinstance(end, int) else -1,
        choice=index,
    )
