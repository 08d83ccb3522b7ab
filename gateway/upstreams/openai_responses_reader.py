"""What OpenAI's Responses protocol answers, as events and results of the internal form."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.events import (
    AnswerPart,
    Began,
    Choice,
    Cited,
    Done,
    Event,
    Finished,
    RefusalDelta,
    Reported,
    Result,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Refusal, Text, Thinking, ToolCall
from gateway.upstreams import openai_responses_wire as wire
from gateway.upstreams.base import NONSENSE, BadAnswer, Refused
from gateway.upstreams.openai_responses_request import PROTOCOL
from gateway.upstreams.openai_wire import Token, logprobs_of
from gateway.upstreams.wire_names import OwnNames

_EVENT = msgspec.json.Decoder(wire.StreamEvent)
_RESPONSE = msgspec.json.Decoder(wire.Response)
_TOKENS = msgspec.json.Decoder(list[Token])
_DONE = b"[DONE]"


def read_event(event: bytes) -> wire.StreamEvent:
    """Read one event; raises ``BadAnswer`` for an error or nonsense in its place."""
    try:
        read = _EVENT.decode(event)
    except NONSENSE as exc:
        raise BadAnswer("not an event of a response") from exc
    if read.type in wire.BREAKS:
        raise _broken(event, "an error inside the stream")
    if "\n" in read.type or "\r" in read.type:
        # It is written into a line of its own.
        raise BadAnswer("an event with a name that is none")
    return read


class _Failed(msgspec.Struct):
    error: wire.Fault | None = None


class _Broken(wire.Fault):
    # An event of an error is one itself, holds one, or holds a response that does.
    error: wire.Fault | None = None
    response: _Failed | None = None


_BROKEN = msgspec.json.Decoder(_Broken)


def _broken(data: bytes, reason: str) -> BadAnswer:
    """Return what an error means: the request was refused, or this channel has failed."""
    try:
        told = _BROKEN.decode(data)
    except NONSENSE:
        return BadAnswer(reason)
    fault = (
        told.error
        or (told.response and told.response.error)
        or wire.Fault(told.code, told.message, told.param)
    )
    return Refused(msgspec.json.encode({"error": fault})) if fault.is_of_the_request else BadAnswer(reason)


class ResponsesReader:
    """Reads the events of one response."""

    def __init__(self, names: OwnNames) -> None:
        self._names = names
        self._ways: dict[str, Callable[[wire.StreamEvent], list[Event]]] = {
            "response.created": self._created,
            "response.output_item.added": self._added,
            "response.output_item.done": self._done,
            "response.output_text.delta": self._text,
            "response.output_text.done": self._text_done,
            "response.output_text.annotation.added": self._cited,
            "response.refusal.delta": self._refusal,
            "response.refusal.done": self._refusal_done,
            "response.reasoning_summary_text.delta": self._thought,
            "response.reasoning_text.delta": self._thought,
            "response.function_call_arguments.delta": self._arguments,
            "response.function_call_arguments.done": self._arguments_done,
            "response.custom_tool_call_input.delta": self._arguments,
            "response.custom_tool_call_input.done": self._arguments_done,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
        }
        # By output index: the key of a call, the phase of a message.
        self._keys: dict[int, int] = {}
        self._phases: dict[int, str] = {}
        # Places whose text or arguments came in pieces, so that the whole is not told again.
        self._told: set[tuple[int, int]] = set()
        self._last_thought: tuple[int, int, int] | None = None
        # Characters of text so far, and of those before the message that is open.
        self._length = 0
        self._offset = 0
        self._has_ended = False

    def feed(self, event: bytes) -> list[Event]:
        """See ``Reader.feed``."""
        if event == _DONE:
            # DeepSeek ends as chat completions do, after the event that said all.
            return []
        read = read_event(event)
        way = self._ways.get(read.type)
        return way(read) if way is not None and not self._has_ended else []

    def _created(self, event: wire.StreamEvent) -> list[Event]:
        response = event.response or wire.Response()
        return [Began(response.id or "", int(response.created_at or 0))]

    def _added(self, event: wire.StreamEvent) -> list[Event]:
        item = event.item or wire.Item()
        if item.type in wire.CALLS:
            return self._call_began(item, event.output_index)
        if item.type == "message":
            self._phases[event.output_index] = item.phase or ""
            self._offset = self._length
        return []

    def _call_began(self, item: wire.Item, place: int) -> list[Event]:
        key = self._keys[place] = len(self._keys)
        is_custom = item.type == "custom_tool_call"
        return [
            ToolBegan(
                key,
                item.call_id or item.id or "",
                self._names.of(item.name or ""),
                is_custom,
                namespace=item.namespace or "",
            )
        ]

    def _text(self, event: wire.StreamEvent) -> list[Event]:
        return self._say(event, event.delta)

    def _text_done(self, event: wire.StreamEvent) -> list[Event]:
        if (event.output_index, event.content_index) in self._told:
            return []
        return self._say(event, event.text)

    def _say(self, event: wire.StreamEvent, text: object) -> list[Event]:
        if not isinstance(text, str):
            return []
        self._told.add((event.output_index, event.content_index))
        self._length += len(text)
        phase = self._phases.get(event.output_index, "")
        return [TextDelta(text, logprobs=_given(event.logprobs), phase=phase)]

    def _cited(self, event: wire.StreamEvent) -> list[Event]:
        cited = _source(event.annotation, self._offset)
        return [cited] if cited is not None else []

    def _refusal(self, event: wire.StreamEvent) -> list[Event]:
        self._told.add((event.output_index, event.content_index))
        return [RefusalDelta(event.delta)] if isinstance(event.delta, str) else []

    def _refusal_done(self, event: wire.StreamEvent) -> list[Event]:
        if (event.output_index, event.content_index) in self._told or not event.refusal:
            return []
        self._told.add((event.output_index, event.content_index))
        return [RefusalDelta(event.refusal)]

    def _thought(self, event: wire.StreamEvent) -> list[Event]:
        if not isinstance(event.delta, str):
            return []
        place = (event.output_index, event.summary_index, event.content_index)
        last, self._last_thought = self._last_thought, place
        is_next = last is not None and last != place and last[0] == place[0]
        self._told.add((event.output_index, -1))
        return [ThinkingDelta(event.delta, starts_part=is_next)]

    def _arguments(self, event: wire.StreamEvent) -> list[Event]:
        key = self._keys.get(event.output_index)
        if key is None or not isinstance(event.delta, str):
            return []
        self._told.add((event.output_index, 0))
        return [ToolDelta(key, event.delta)]

    def _arguments_done(self, event: wire.StreamEvent) -> list[Event]:
        key, whole = self._keys.get(event.output_index), event.arguments or event.input
        if key is None or not whole or (event.output_index, 0) in self._told:
            return []
        self._told.add((event.output_index, 0))
        return [ToolDelta(key, whole)]

    def _done(self, event: wire.StreamEvent) -> list[Event]:
        item, place = event.item or wire.Item(), event.output_index
        if item.type == "reasoning":
            return self._thought_done(item, place)
        if item.type in wire.CALLS:
            began = [] if place in self._keys else self._call_began(item, place)
            whole = _arguments_of(item)
            if whole and (place, 0) not in self._told:
                began.append(ToolDelta(self._keys[place], whole))
            return began
        if wire.is_search(item):
            return [Searched(item.id or "", wire.query_of(item))]
        return []

    def _thought_done(self, item: wire.Item, place: int) -> list[Event]:
        events: list[Event] = []
        text = _thought_of(item)
        if text and (place, -1) not in self._told:
            events.append(ThinkingDelta(text))
        if item.encrypted_content:
            events.append(ThinkingSealed(item.encrypted_content, PROTOCOL, id=item.id or ""))
        return events

    def _ended(self, event: wire.StreamEvent) -> list[Event]:
        response = event.response or wire.Response()
        self._has_ended = True
        events: list[Event] = []
        usage = wire.usage_of(response.usage, response.output)
        if usage is not None:
            events.append(Reported(usage))
        if self._keys and response.status != "incomplete":
            return [*events, Finished("tool_calls"), Done()]
        return [*events, Finished(wire.reason_of(response)), Done()]


def read_response(body: bytes) -> wire.Response:
    """Read a whole response; raises ``BadAnswer`` for one that has failed or not ended, or for nonsense."""
    try:
        response = _RESPONSE.decode(body)
    except NONSENSE as exc:
        raise BadAnswer("not a response") from exc
    if response.error or response.status not in {"completed", "incomplete"}:
        raise _broken(body, "a response that has failed or not ended")
    return response


def read_answer(body: bytes, names: OwnNames) -> Result:
    """Read a whole answer; raises ``BadAnswer``."""
    response = read_response(body)
    parts: list[AnswerPart] = []
    citations: list[Cited] = []
    logprobs: Raw | None = None
    for item in response.output:
        for part in item.content or () if item.type == "message" else ():
            length = sum(len(each.text) for each in parts if isinstance(each, Text))
            citations += [
                cited for each in part.annotations or () if (cited := _source(each, length)) is not None
            ]
            logprobs = _given(part.logprobs) or logprobs
        parts += _parts(item, names)
    choice = Choice(parts, wire.reason_of(response), citations=citations, logprobs=logprobs)
    return Result(
        [choice],
        wire.usage_of(response.usage, response.output),
        upstream_id=response.id or "",
        created=int(response.created_at or 0),
    )


def _parts(item: wire.Item, names: OwnNames) -> list[AnswerPart]:
    if item.type == "message":
        return [
            Text(part.text or "", phase=item.phase or "")
            if part.type == "output_text"
            else Refusal(part.refusal or "")
            for part in item.content or ()
        ]
    if item.type == "reasoning":
        seal = item.encrypted_content or ""
        origin = PROTOCOL if seal else ""
        thought = Thinking(_thought_of(item), seal, origin=origin, id=item.id or "")
        return [thought] if thought.text or seal else []
    if item.type in wire.CALLS:
        is_custom = item.type == "custom_tool_call"
        called, name = item.call_id or item.id or "", names.of(item.name or "")
        return [
            ToolCall(called, name, _arguments_of(item), is_custom=is_custom, namespace=item.namespace or "")
        ]
    return [Searched(item.id or "", wire.query_of(item))] if wire.is_search(item) else []


def _thought_of(item: wire.Item) -> str:
    return "\n\n".join(part.text for part in item.summary or item.content or () if part.text)


def _arguments_of(item: wire.Item) -> str:
    if item.type == "custom_tool_call":
        return item.input or ""
    return item.arguments if isinstance(item.arguments, str) else ""


def _given(raw: Raw | UnsetType) -> Raw | None:
    """Return log probabilities in chat's shape; ``None`` for a list that is empty or holds something else."""
    if raw is UNSET or bytes(raw) in {b"[]", b"null"}:
        return None
    try:
        return logprobs_of(_TOKENS.decode(raw))
    except NONSENSE:
        return None


def _source(annotation: wire.Annotation | None, offset: int) -> Cited | None:
    if annotation is None or annotation.type != "url_citation" or not annotation.url:
        return None
    start, end = annotation.start_index, annotation.end_index
    return Cited(
        annotation.url,
        annotation.title or "",
        start=-1 if start is None else start + offset,
        end=-1 if end is None else end + offset,
    )
