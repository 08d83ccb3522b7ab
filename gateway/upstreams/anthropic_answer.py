"""What Anthropic answers, whole or as a stream, in the internal form."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from gateway.events import (
    AnswerPart,
    Began,
    Choice,
    Cited,
    Done,
    Event,
    Finished,
    Reported,
    Result,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Text, Thinking, ToolCall
from gateway.upstreams.anthropic_names import Names
from gateway.upstreams.anthropic_wire import ReportedUsage, finish_reason, usage_of
from gateway.upstreams.base import NONSENSE, BadAnswer
from gateway.upstreams.tools import SEARCH

ORIGIN = "anthropic"


class _Citation(msgspec.Struct):
    type: str = ""
    url: str | None = None
    title: str | None = None


class _Block(msgspec.Struct):
    type: str
    id: str = ""
    name: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    input: Raw = Raw(b"{}")
    citations: list[_Citation] | None = None


class _Message(msgspec.Struct):
    type: str
    content: list[_Block] = []
    id: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: ReportedUsage | None = None


class _Start(msgspec.Struct):
    id: str = ""
    usage: ReportedUsage | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    citation: _Citation | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Start | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: ReportedUsage | None = None


_MESSAGE = msgspec.json.Decoder(_Message)
_EVENT = msgspec.json.Decoder(_Event)


def read_answer(body: bytes, names: Names) -> Result:
    """Read a whole message; raises ``BadAnswer``."""
    try:
        message = _MESSAGE.decode(body)
    except NONSENSE as exc:
        raise BadAnswer("not a message") from exc
    if message.type != "message" or message.stop_reason is None:
        raise BadAnswer("an error with status 200")
    choice = Choice([], finish_reason(message.stop_reason), message.stop_sequence or "")
    said = 0
    for block in message.content:
        if block.type == "text":
            choice.citations += _cited(block.citations or [], said, said + len(block.text))
            said += len(block.text)
        part = _part(block, names)
        if part is not None:
            choice.parts.append(part)
    names.settle(choice)
    return Result([choice], usage_of(message.usage), message.id)


def _part(block: _Block, names: Names) -> AnswerPart | None:
    match block.type:
        case "text":
            return Text(block.text) if block.text else None
        case "thinking":
            return Thinking(block.thinking, block.signature, origin=ORIGIN)
        case "redacted_thinking":
            return Thinking("", block.data, is_redacted=True, origin=ORIGIN)
        case "tool_use":
            return _call(block, names)
        case "server_tool_use" if block.name == SEARCH:
            return Searched(block.id, _query(bytes(block.input)))
        case _:
            # What other tools of the provider did is told by its text.
            return None


def _call(block: _Block, names: Names) -> Text | ToolCall:
    arguments = bytes(block.input).decode()
    if names.is_answer(block.name):
        return Text(arguments)
    name, namespace = names.of(block.name)
    return ToolCall(block.id, name, arguments, namespace=namespace)


def _cited(citations: list[_Citation], start: int, end: int) -> list[Cited]:
    return [Cited(each.url, each.title or "", start, end) for each in citations if each.url]


def _query(arguments: bytes) -> str:
    try:
        value: Any = msgspec.json.decode(arguments)
    except NONSENSE:
        return ""
    return str(value.get("query") or "") if isinstance(value, dict) else ""


class _Open:
    """The content block that is being sent."""

    __slots__ = ("arguments", "block", "citations", "has_arguments", "is_answer", "key", "start")

    def __init__(self, block: _Block, start: int) -> None:
        self.block = block
        self.start = start
        self.key = -1
        self.is_answer = False
        self.has_arguments = False
        self.arguments: list[str] = []
        self.citations: list[_Citation] = list(block.citations or ())


class AnthropicReader:
    """Reads one stream."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._usage: ReportedUsage | None = None
        self._blocks: dict[int, _Open] = {}
        self._calls = 0
        self._has_answer_tool = False
        # Characters of text so far, for the places of citations.
        self._said = 0
        self._ways = {
            "message_start": self._start,
            "content_block_start": self._begin,
            "content_block_delta": self._more,
            "content_block_stop": self._end,
            "message_delta": self._finish,
        }

    def feed(self, event: bytes) -> list[Event]:
        """Read the data of one event; see ``Reader.feed``."""
        try:
            read = _EVENT.decode(event)
        except NONSENSE as exc:
            raise BadAnswer("not an event") from exc
        if read.type == "error":
            raise BadAnswer("an error inside the stream")
        if read.type == "message_stop":
            return [Done()]
        # Pings, and kinds of events that come later, say nothing to us.
        way = self._ways.get(read.type)
        return way(read) if way else []

    def _start(self, event: _Event) -> list[Event]:
        message = event.message or _Start()
        self._usage = message.usage
        return [Began(message.id)]

    def _begin(self, event: _Event) -> list[Event]:
        block = event.content_block
        if block is None:
            raise BadAnswer("a block without content")
        open_ = self._blocks[event.index] = _Open(block, self._said)
        match block.type:
            case "text" if block.text:
                return self._text(block.text)
            case "thinking" if block.thinking:
                return [ThinkingDelta(block.thinking)]
            case "redacted_thinking":
                return [ThinkingSealed(block.data, ORIGIN, is_redacted=True)]
            case "tool_use":
                return self._call(open_, block)
            case _:
                return []

    def _call(self, open_: _Open, block: _Block) -> list[Event]:
        if self._names.is_answer(block.name):
            open_.is_answer = self._has_answer_tool = True
            return []
        open_.key, self._calls = self._calls, self._calls + 1
        name, namespace = self._names.of(block.name)
        events: list[Event] = [ToolBegan(open_.key, block.id, name, namespace=namespace)]
        given = bytes(block.input).strip()
        if given not in {b"", b"{}", b"null"}:
            open_.has_arguments = True
            events.append(ToolDelta(open_.key, given.decode()))
        return events

    def _more(self, event: _Event) -> list[Event]:
        open_, delta = self._blocks.get(event.index), event.delta
        if open_ is None or delta is None:
            raise BadAnswer("a piece of nothing")
        match delta.type:
            case "text_delta":
                return self._text(delta.text) if delta.text else []
            case "input_json_delta":
                return self._arguments(open_, delta.partial_json)
            case "thinking_delta":
                return [ThinkingDelta(delta.thinking)] if delta.thinking else []
            case "signature_delta":
                return [ThinkingSealed(delta.signature, ORIGIN)]
            case "citations_delta" if delta.citation is not None:
                open_.citations.append(delta.citation)
                return []
            case _:
                return []

    def _text(self, text: str) -> list[Event]:
        self._said += len(text)
        return [TextDelta(text)]

    def _arguments(self, open_: _Open, piece: str) -> list[Event]:
        if not piece:
            return []
        if open_.is_answer:
            return self._text(piece)
        if open_.key >= 0:
            open_.has_arguments = True
            return [ToolDelta(open_.key, piece)]
        open_.arguments.append(piece)
        return []

    def _end(self, event: _Event) -> list[Event]:
        open_ = self._blocks.pop(event.index, None)
        if open_ is None:
            raise BadAnswer("the end of nothing")
        if open_.key >= 0 and not open_.has_arguments:
            return [ToolDelta(open_.key, "{}")]
        block = open_.block
        if block.type == "server_tool_use" and block.name == SEARCH:
            arguments = "".join(open_.arguments).encode() or bytes(block.input)
            return [Searched(block.id, _query(arguments))]
        return list(_cited(open_.citations, open_.start, self._said))

    def _finish(self, event: _Event) -> list[Event]:
        events: list[Event] = []
        if event.usage is not None:
            self._usage = self._usage.updated(event.usage) if self._usage else event.usage
            usage = usage_of(self._usage)
            if usage is not None:
                events.append(Reported(usage))
        delta = event.delta
        if delta is not None and delta.stop_reason:
            reason = finish_reason(delta.stop_reason)
            if reason == "tool_calls" and self._has_answer_tool and not self._calls:
                reason = "stop"
            events.append(Finished(reason, stop_sequence=delta.stop_sequence or ""))
        return events
