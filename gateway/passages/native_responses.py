"""Responses passed on as they are, from a Responses client to an upstream that speaks the same.

Nothing is kept upstream: what went before is put in front of the input, and the answer's id is ours. Events pass one by
one with the numbers they came with; only the last one waits until the bill is settled.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import UNSET

from catalog.pricing import Usage
from gateway.asked import Attempt
from gateway.errors import GatewayError
from gateway.formats import responses_output as out
from gateway.formats.responses import Responses, ResponsesAsked
from gateway.formats.responses_ids import adopted_id
from gateway.formats.responses_writer import event as written, failed
from gateway.metering import TextMeter
from gateway.passages.base import Answer, MeteredStream, StreamTranslator
from gateway.passages.native_responses_request import write_request
from gateway.passages.translation import Translation
from gateway.passages.whole_stream import TellsWhole
from gateway.upstreams import openai_responses_wire as wire, openai_wire
from gateway.upstreams.base import Prepared, Splitter
from gateway.upstreams.openai_responses import OpenAIResponses
from gateway.upstreams.openai_responses_reader import read_event, read_response
from gateway.upstreams.sse import EventSplitter

_ENCODER = msgspec.json.Encoder()
# What an upstream tells of its own books.
_PRIVATE = ("billing", "content_filters", "conversation")
# What is ours to tell, or what the upstream was told otherwise.
_OURS = ("id", "object", "model", "background", "max_tool_calls", "metadata", "previous_response_id", "store")
# What counts as output once it begins, or only when it is done: a thought that is not shown may yet fail.
_COUNTED_BEGUN = wire.CALLS | {"web_search_call"}
_COUNTED_DONE = frozenset({"reasoning"})


class NativeResponses(TellsWhole, openai_wire.OpenAiErrors):
    """The passage from Responses clients to OpenAI and those who speak Responses after it."""

    def __init__(self) -> None:
        self._translation = Translation(Responses(), OpenAIResponses())

    def prepare(self, attempt: Attempt) -> Prepared:
        """See ``Passage.prepare``."""
        body, dropped = write_request(attempt)
        headers = openai_wire.headers(attempt.route.channel, is_stream=attempt.asked.is_stream)
        return Prepared(target=wire.TARGET, headers=headers, body=body, dropped=dropped)

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """See ``Passage.answer``."""
        response = read_response(body)
        meter = TextMeter()
        for item in response.output:
            _count_item(meter, item)
        shown = _Owner(attempt).own(msgspec.json.decode(body))
        return Answer(
            body=_ENCODER.encode(shown),
            again=lambda billed: _ENCODER.encode(shown | {"usage": out.usage_object(billed)}),
            usage=wire.usage_of(response.usage, response.output),
            text_tokens=meter.tokens,
            has_output=meter.has_output,
            finish_reason=wire.reason_of(response),
            upstream_id=response.id or "",
        )

    def stream(self, attempt: Attempt) -> NativeResponsesStream:
        """See ``Passage.stream``."""
        return NativeResponsesStream(attempt)

    def whole_stream(self, attempt: Attempt) -> StreamTranslator:
        """See ``TellsWhole.whole_stream``."""
        return self._translation.whole_stream(attempt)

    def splitter(self) -> Splitter:
        """See ``Passage.splitter``."""
        return EventSplitter()


def _count_item(meter: TextMeter, item: wire.Item) -> None:
    for part in (*(item.content or ()), *(item.summary or ())):
        meter.count(part.text or part.refusal or "")
    if item.type in wire.CALLS:
        given = item.arguments if isinstance(item.arguments, str) else item.input
        meter.count((item.name or "") + (given or ""))
    elif item.encrypted_content or wire.is_search(item):
        meter.count("")


class _Owner:
    """Makes an upstream's response ours: id, model, and what was asked of us rather than of the upstream."""

    def __init__(self, attempt: Attempt) -> None:
        self.id = out.response_id(attempt.request_id)
        self._request_id = attempt.request_id
        body = cast("ResponsesAsked", attempt.asked).body
        self._keeps_items = body.store is not False
        # Servers that tell less than OpenAI are completed from this.
        self.usual = out.snapshot(body, attempt, 0)
        self._ours = {name: self.usual[name] for name in _OURS}

    def own(self, response: dict[str, Any]) -> dict[str, Any]:
        """Return a response as its caller sees it."""
        whole = self.usual | response | self._ours
        whole["output"] = [self._adopt(item) for item in whole["output"]]
        for name in _PRIVATE:
            whole.pop(name, None)
        usage = whole["usage"]
        if isinstance(usage, dict):
            # Written anew, or strict clients would miss what was added to the shape over time.
            none = {"cached_tokens": 0, "cache_write_tokens": 0}
            whole["usage"] = usage | {
                "input_tokens_details": none | (usage.get("input_tokens_details") or {}),
                "output_tokens_details": {"reasoning_tokens": 0} | (usage.get("output_tokens_details") or {}),
            }
        return whole

    def _adopt(self, item: dict[str, Any]) -> dict[str, Any]:
        theirs = item.get("id")
        return item | {"id": self.id_of(theirs)} if isinstance(theirs, str) else item

    def id_of(self, theirs: str) -> str:
        """Return the id under which the caller knows an item: one that is kept is found by it."""
        return adopted_id(theirs, self._request_id) if self._keeps_items else theirs


class _RawItem(msgspec.Struct):
    item: dict[str, Any]


class _RawResponse(msgspec.Struct):
    response: dict[str, Any]


_RAW_ITEM = msgspec.json.Decoder(_RawItem)
_RAW_RESPONSE = msgspec.json.Decoder(_RawResponse)


class _Progress:
    """One item as far as it has come: the event that told it last, and what was added since."""

    __slots__ = ("deltas", "event", "is_done")

    def __init__(self, event: bytes) -> None:
        self.event = event
        self.deltas: list[str] = []
        self.is_done = False

    def item(self) -> dict[str, Any]:
        """Return the item, marked as incomplete if it is."""
        item = _RAW_ITEM.decode(self.event).item
        if self.is_done:
            return item
        text = "".join(self.deltas)
        match item.get("type"):
            case "message":
                item["content"] = [out.text_part(text, [], [])]
            case "function_call":
                item["arguments"] = text
            case "custom_tool_call":
                item["input"] = text
            case _:
                pass
        return item | {"status": "incomplete"}


class NativeResponsesStream(MeteredStream):
    """Passes the events of a response on; see ``StreamTranslator``."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        self._owner = _Owner(attempt)
        self._response = self._owner.usual
        # What events name by ids of theirs, as they are written, and ours.
        self._ids: dict[bytes, bytes] = {}
        self._items: dict[int, _Progress] = {}
        self._number = 0
        self._last: tuple[str, dict[str, Any]] | None = None

    def feed(self, event: bytes) -> bytes:
        """Translate the data of one event; see ``StreamTranslator.feed``."""
        if event == b"[DONE]" or self._last is not None:
            return b""
        read = read_event(event)
        has_number = read.sequence_number is not None
        number = self._number if read.sequence_number is None else read.sequence_number
        self._number = number + 1
        if read.response is not None:
            return self._told(read, event, number)
        event = self._with_our_ids(read, event)
        self._note(read, event)
        if b"\n" in event or not has_number or _lacks_logprobs(read):
            event = _completed(read, event, number)
        return b"event: %b\ndata: %b\n\n" % (read.type.encode(), event)

    def _with_our_ids(self, read: wire.StreamEvent, event: bytes) -> bytes:
        if read.item is not None and read.item.id:
            self._ids[_ENCODER.encode(read.item.id)] = _ENCODER.encode(self._owner.id_of(read.item.id))
        for theirs, ours in self._ids.items():
            if theirs in event:
                event = event.replace(theirs, ours)
        return event

    def _told(self, read: wire.StreamEvent, event: bytes, number: int) -> bytes:
        """Return an event that tells the whole response; the last one is kept for the closing."""
        assert read.response is not None
        self._response = self._owner.own(_RAW_RESPONSE.decode(event).response)
        fields = {"sequence_number": number, "response": self._response}
        if read.type not in wire.ENDS:
            self._begin(read.response)
            return written(read.type, fields)
        self._last = (read.type, fields)
        self.usage = wire.usage_of(read.response.usage, read.response.output)
        self.finish_reason = wire.reason_of(read.response)
        self.is_done = True
        return b""

    def _begin(self, response: wire.Response) -> None:
        if response.id and not self.upstream_id:
            self.upstream_id = response.id
            self._ids[_ENCODER.encode(response.id)] = _ENCODER.encode(self._owner.id)

    def _note(self, read: wire.StreamEvent, event: bytes) -> None:
        if isinstance(read.delta, str):
            self._meter.count(read.delta)
            progress = self._items.get(read.output_index)
            if progress is not None:
                progress.deltas.append(read.delta)
        elif read.item is not None:
            progress = self._items[read.output_index] = _Progress(event)
            progress.is_done = read.type == "response.output_item.done"
            if read.item.type in (_COUNTED_DONE if progress.is_done else _COUNTED_BEGUN):
                self._meter.count(read.item.name or "")

    def closing(self, usage: Usage) -> bytes:
        """End a finished stream; see ``StreamTranslator.closing``."""
        assert self._last is not None
        kind, fields = self._last
        response = fields["response"]
        if response["usage"] is None or usage != self.usage:
            response = response | {"usage": out.usage_object(usage)}
        return written(kind, fields | {"response": response})

    def cut(self, usage: Usage) -> bytes:
        """End a stream that must stop here: what is open ends as it is."""
        events: list[bytes] = []
        for index, progress in sorted(self._items.items()):
            if not progress.is_done:
                fields = {"sequence_number": self._number, "output_index": index, "item": progress.item()}
                events.append(written("response.output_item.done", fields))
                self._number += 1
        response = out.ended(self._response, "length", self._output(), usage, 0)
        last = written("response.incomplete", {"sequence_number": self._number, "response": response})
        return b"".join([*events, last])

    def failure(self, error: GatewayError) -> bytes:
        """Tell that the stream broke."""
        done = {index: each for index, each in self._items.items() if each.is_done}
        output = [done[index].item() for index in sorted(done)]
        return failed(error, self._response | {"output": output}, self._number)

    def _output(self) -> list[dict[str, Any]]:
        return [self._items[index].item() for index in sorted(self._items)]


def _lacks_logprobs(read: wire.StreamEvent) -> bool:
    return read.logprobs is UNSET and read.type in {"response.output_text.delta", "response.output_text.done"}


def _completed(read: wire.StreamEvent, event: bytes, number: int) -> bytes:
    """Return an event with what strict clients need and some servers leave out."""
    fields: dict[str, Any] = msgspec.json.decode(event)
    if _lacks_logprobs(read):
        fields["logprobs"] = []
    return _ENCODER.encode(fields | {"sequence_number": number})
