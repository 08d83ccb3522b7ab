"""Messages passed on as they are, from an Anthropic client to Anthropic or another who speaks the same.

The request is written anew from what was parsed; the answer keeps its ids, blocks and usage, so nothing that only
Anthropic knows is lost. Only the model's name is ours.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from catalog.pricing import Usage
from gateway.asked import Attempt
from gateway.errors import GatewayError
from gateway.formats import messages_body as body_shapes
from gateway.formats.messages import Messages, MessagesAsked
from gateway.formats.messages_errors import error_object
from gateway.formats.messages_read import cites_others
from gateway.formats.messages_seals import is_wrapped
from gateway.formats.messages_writer import usage_object
from gateway.metering import TextMeter
from gateway.passages.base import Answer, MeteredStream, StreamTranslator
from gateway.passages.translation import Translation
from gateway.passages.whole_stream import TellsWhole
from gateway.upstreams.anthropic import Anthropic
from gateway.upstreams.anthropic_request import most_output
from gateway.upstreams.anthropic_wire import (
    TARGET,
    ReportedUsage,
    finish_reason,
    is_named_well,
    request_headers,
    usage_of,
)
from gateway.upstreams.base import NONSENSE, BadAnswer, Prepared, Splitter
from gateway.upstreams.openai_wire import OpenAiErrors
from gateway.upstreams.sse import EventSplitter

_ENCODER = msgspec.json.Encoder()
_BLOCK_LISTS = msgspec.json.Decoder(list[dict[str, Raw]])
_NO_CONTENT = Raw(b'""')
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})
_NAMED = frozenset({"tool_use", "server_tool_use", "mcp_tool_use", "redacted_thinking"})


class _Block(msgspec.Struct):
    type: str
    text: str | None = None
    thinking: str | None = None
    name: str | None = None
    input: Raw = Raw(b"")
    content: Raw = Raw(b"")


class _Message(msgspec.Struct):
    type: str
    content: list[_Block]
    model: str | None = None
    id: str | None = None
    stop_reason: str | None = None
    usage: ReportedUsage | None = None


class _Start(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: ReportedUsage | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    content: str | None = None
    signature: str | None = None
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Start | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: ReportedUsage | None = None


_MESSAGE = msgspec.json.Decoder(_Message)
_EVENT = msgspec.json.Decoder(_Event)


def native_body(asked: MessagesAsked, attempt: Attempt, fields: dict[str, Any]) -> bytes:
    """Write the caller's body anew for a route; ``fields`` are changed on the way."""
    body = asked.body
    fields |= {
        "model": attempt.route.upstream_model,
        "service_tier": None,
        "speed": None,
        "inference_geo": None,
    }
    if asked.read.has_strange_thoughts:
        turns = _without_strange_thoughts(body.messages)
        fields["messages"] = Raw(_ENCODER.encode(turns))
        if _demands_thoughts(body) and _lacks_thoughts(turns):
            fields["thinking"] = UNSET
    elif (
        b'"tool_result"' in bytes(body.messages)
        and _demands_thoughts(body)
        and _never_thought(_BLOCK_LISTS.decode(body.messages))
    ):
        fields["thinking"] = UNSET
    if asked.read.has_endless_tool and isinstance(body.tools, Raw):
        fields["tools"] = _with_limits(body.tools)
    return _ENCODER.encode(msgspec.structs.replace(body, **fields))


def _without_strange_thoughts(messages: Raw) -> list[dict[str, Any]]:
    """Return the messages without thoughts that Anthropic did not seal, which it would refuse."""
    turns: list[dict[str, Any]] = []
    for turn in _BLOCK_LISTS.decode(messages):
        content: Any = turn.get("content", _NO_CONTENT)
        if bytes(content).startswith(b"["):
            content = [_own(block) for block in _BLOCK_LISTS.decode(content) if not _is_strange(block)]
            if not content:
                continue
        turns.append(turn if content is _NO_CONTENT else turn | {"content": content})
    return turns


def _demands_thoughts(body: body_shapes.MessagesRequest) -> bool:
    return isinstance(body.thinking, Raw) and body_shapes.THINKING.decode(body.thinking).type == "enabled"


def _never_thought(turns: list[dict[str, Any]]) -> bool:
    """Tell whether results of tools come now that a turn without any thought called for: another model's.

    Thoughts cannot be switched on within a turn. Only its first answer must hold them: later ones of the same loop need
    not, so one thought anywhere in it is enough.
    """
    has_called = False
    for turn in reversed(turns):
        kinds = _kinds(turn)
        if msgspec.json.decode(turn["role"]) == "assistant":
            if kinds & _THOUGHTS:
                return False
            has_called = has_called or "tool_use" in kinds
        elif "tool_result" not in kinds:
            break
    return has_called


def _kinds(turn: dict[str, Any]) -> set[str]:
    return {msgspec.json.decode(block["type"]) for block in _blocks(turn.get("content", _NO_CONTENT))}


def _lacks_thoughts(turns: list[dict[str, Any]]) -> bool:
    """Tell whether tools were called, and their results come now, without the thoughts that led to it."""
    for turn in reversed(turns):
        kinds = [msgspec.json.decode(block["type"]) for block in _blocks(turn.get("content", _NO_CONTENT))]
        if msgspec.json.decode(turn["role"]) == "assistant":
            if not kinds or kinds[0] not in _THOUGHTS:
                return True
        elif "tool_result" not in kinds:
            break
    return False


def _blocks(content: Any) -> list[dict[str, Raw]]:
    if isinstance(content, list):
        return content
    return _BLOCK_LISTS.decode(content) if bytes(content).startswith(b"[") else []


def _own(block: dict[str, Raw]) -> dict[str, Raw]:
    """Return a block without citations of what another provider found."""
    if "citations" not in block or not cites_others(block["citations"]):
        return block
    return {name: value for name, value in block.items() if name != "citations"}


def _is_strange(block: dict[str, Raw]) -> bool:
    kind = msgspec.json.decode(block["type"])
    if kind not in _THOUGHTS:
        return False
    signature = msgspec.json.decode(block["signature" if kind == "thinking" else "data"])
    return not signature or is_wrapped(signature)


def _with_limits(tools: Raw) -> Raw:
    """Return the tools with a limit on each search and fetch, because that many are held for."""
    limited = []
    shapes = body_shapes.TOOLS.decode(tools)
    for shape, tool in zip(shapes, _BLOCK_LISTS.decode(tools), strict=True):
        most: Any = shape.most_uses
        limited.append(tool | {"max_uses": most} if most else tool)
    return Raw(_ENCODER.encode(limited))


def _usage_in_place(told: dict[str, Any], output_tokens: int) -> dict[str, Any]:
    """Return a message or event with a usage: Anthropic always tells one, but not all who speak after it, and SDKs break."""
    return told if told.get("usage") else told | {"usage": usage_object(Usage(0, 0, 0, output_tokens, 0))}


class NativeMessages(TellsWhole, OpenAiErrors):
    """The passage from Anthropic's clients to Anthropic."""

    def __init__(self) -> None:
        self._translation = Translation(Messages(), Anthropic())

    def prepare(self, attempt: Attempt) -> Prepared:
        """See ``Passage.prepare``."""
        assert isinstance(attempt.asked, MessagesAsked)
        asked = attempt.asked
        dropped: tuple[str, ...] = ()
        fields: dict[str, Any] = {"max_tokens": most_output(attempt)}
        if "no_sampling" in attempt.model.traits:
            dropped = tuple(
                name for name in ("temperature", "top_p", "top_k") if getattr(asked.body, name) is not None
            )
            fields |= dict.fromkeys(dropped)
        headers = request_headers(
            attempt.route.channel, attempt.headers, attempt.model, is_stream=asked.is_stream, is_native=True
        )
        body = native_body(asked, attempt, fields)
        if fields.get("thinking") is UNSET:
            dropped = (*dropped, "reasoning")
        return Prepared(TARGET, headers, body, dropped)

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """See ``Passage.answer``."""
        try:
            message = _MESSAGE.decode(body)
            raw: dict[str, Raw] = msgspec.json.decode(body, type=dict[str, Raw])
        except NONSENSE as exc:
            raise BadAnswer("not a message") from exc
        if message.type != "message" or message.stop_reason is None:
            raise BadAnswer("an error with status 200")
        meter = TextMeter()
        for block in message.content:
            _count(meter, block)
        shown: dict[str, Any] = _usage_in_place(raw, meter.tokens) | {"model": attempt.model.id}
        return Answer(
            body=_ENCODER.encode(shown),
            again=lambda billed: _ENCODER.encode(shown | {"usage": usage_object(billed)}),
            usage=usage_of(message.usage),
            text_tokens=meter.tokens,
            has_output=meter.has_output,
            finish_reason=finish_reason(message.stop_reason),
            upstream_id=message.id or "",
        )

    def stream(self, attempt: Attempt) -> NativeMessagesStream:
        """See ``Passage.stream``."""
        return NativeMessagesStream(attempt.model.id)

    def whole_stream(self, attempt: Attempt) -> StreamTranslator:
        """See ``TellsWhole.whole_stream``."""
        return self._translation.whole_stream(attempt)

    def splitter(self) -> Splitter:
        """See ``Passage.splitter``."""
        return EventSplitter()


def _count(meter: TextMeter, block: _Block) -> None:
    """Count a whole block of output; what tools of the provider found is input."""
    if block.type in _NAMED:
        meter.count((block.name or "") + bytes(block.input).decode("utf-8", "replace"))
    elif block.type == "compaction":
        meter.count(bytes(block.content).decode("utf-8", "replace"))
    elif block.text:
        meter.count(block.text)
    elif block.type == "thinking":
        meter.count(block.thinking or "")


class NativeMessagesStream(MeteredStream):
    """Passes a stream of message events on; bytes pass as they came wherever they may."""

    def __init__(self, model_id: str) -> None:
        super().__init__()
        self._model_id = model_id
        self._reported: ReportedUsage | None = None
        self._open: set[int] = set()
        # The event that reports the usage waits for the bill.
        self._report = b""

    def feed(self, event: bytes) -> bytes:
        """Translate the data of one event; see ``StreamTranslator.feed``."""
        try:
            read = _EVENT.decode(event)
        except NONSENSE as exc:
            raise BadAnswer("not an event") from exc
        kind = read.type
        if kind == "content_block_delta":
            self._note_delta(read.delta)
            if b"\n" not in event:
                return b"event: content_block_delta\ndata: %b\n\n" % event
        elif kind == "message_stop":
            # Told by ``closing``, once the call is settled.
            self.is_done = True
            return b""
        elif kind == "error":
            raise BadAnswer("an error inside the stream")
        else:
            event = self._note(read, event)
        if not is_named_well(kind):
            raise BadAnswer("an event of no kind")
        if b"\n" in event:
            event = _ENCODER.encode(msgspec.json.decode(event))
        return self._in_turn(kind, b"event: %b\ndata: %b\n\n" % (kind.encode(), event))

    def _in_turn(self, kind: str, told: bytes) -> bytes:
        if kind == "message_delta":
            self._report, told = told, self._report
        return told

    def _note_delta(self, delta: _Delta | None) -> None:
        if delta is None:
            raise BadAnswer("a piece of nothing")
        text = delta.text or delta.thinking or delta.partial_json or delta.content
        if text:
            self._meter.count(text)
        elif delta.signature:
            self._meter.count("")

    def _note(self, read: _Event, event: bytes) -> bytes:
        match read.type:
            case "message_start":
                return self._begin(read, event)
            case "content_block_start" if read.content_block is not None:
                self._open.add(read.index)
                if read.content_block.type in _NAMED or read.content_block.text:
                    _count(self._meter, read.content_block)
            case "content_block_stop":
                self._open.discard(read.index)
            case "message_delta":
                self._finish(read)
                return event if read.usage is not None else self._with_usage(event)
            case _:
                pass
        return event

    def _begin(self, read: _Event, event: bytes) -> bytes:
        message = read.message
        if message is None:
            raise BadAnswer("a start of nothing")
        self.upstream_id = message.id or ""
        self._reported = message.usage
        # An unescaped "model": cannot stand inside a JSON string, so the first one is the message's own field.
        theirs = b'"model":' + _ENCODER.encode(message.model)
        if message.usage is not None and event.count(theirs) == 1:
            return event.replace(theirs, b'"model":' + _ENCODER.encode(self._model_id))
        raw: dict[str, Any] = msgspec.json.decode(event)
        shown = _usage_in_place(raw["message"], 0) | {"model": self._model_id}
        return _ENCODER.encode(raw | {"message": shown})

    def _with_usage(self, event: bytes) -> bytes:
        return _ENCODER.encode(_usage_in_place(msgspec.json.decode(event), self.output_tokens))

    def _finish(self, read: _Event) -> None:
        if read.usage is not None:
            self._reported = self._reported.updated(read.usage) if self._reported else read.usage
            self.usage = usage_of(self._reported)
        if read.delta is not None and read.delta.stop_reason:
            self.finish_reason = finish_reason(read.delta.stop_reason)

    def closing(self, usage: Usage) -> bytes:
        """End a finished stream; see ``StreamTranslator.closing``."""
        return self._billed(usage) + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def _billed(self, usage: Usage) -> bytes:
        if not self._report or usage == self.usage:
            return self._report
        # What is not believed is not billed, and not shown either.
        told: dict[str, Any] = msgspec.json.decode(self._report.partition(b"data: ")[2])
        return _event("message_delta", told | {"usage": usage_object(usage)})

    def cut(self, usage: Usage) -> bytes:
        """End a stream that must stop here with stop reason ``max_tokens``."""
        stops = [_event("content_block_stop", {"index": index}) for index in sorted(self._open)]
        if not self.finish_reason:
            delta = {"stop_reason": "max_tokens", "stop_sequence": None}
            self._report = _event("message_delta", {"delta": delta, "usage": usage_object(usage)})
        return b"".join(stops) + self.closing(usage)

    def failure(self, error: GatewayError) -> bytes:
        """Tell that the stream broke."""
        return _event("error", {"error": error_object(error)})


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _ENCODER.encode({"type": kind} | fields))
