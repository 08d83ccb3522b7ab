"""Answers and streams as responses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from catalog.pricing import Usage
from gateway.asked import Attempt
from gateway.errors import GatewayError
from gateway.events import (
    Choice,
    Cited,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Result,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolDelta,
)
from gateway.form import Refusal, Text, Thinking, ToolCall
from gateway.formats import responses_output as out
from gateway.formats.responses_seals import Seal, wrap
from gateway.formats.sequence import Ordered, PartBegan, PartEnded, Sequence as Order

if TYPE_CHECKING:
    from gateway.formats.responses import ResponsesAsked

_ENCODER = msgspec.json.Encoder()
# How OpenAI names in ``response.failed`` what our codes mean; all others are ``server_error``.
_FAILURES = {"rate_limit": "rate_limit_exceeded", "invalid_request": "invalid_prompt"}


def event(kind: str, fields: dict[str, Any]) -> bytes:
    """Write one event."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _ENCODER.encode({"type": kind} | fields))


def failure(error: GatewayError) -> dict[str, str]:
    """Return what a response that has failed tells of its error."""
    return {"code": _FAILURES.get(error.code, "server_error"), "message": error.message}


def failed(error: GatewayError, response: dict[str, Any], sequence_number: int) -> bytes:
    """Write the end of a stream that broke.

    The first event has both forms of an error: SDKs raise at the nested one, the specification wants the other.
    """
    detail = error.detail()
    flat = {"code": detail["code"], "message": detail["message"], "param": detail["param"]}
    response = response | {"status": "failed", "error": failure(error)}
    return event("error", {"sequence_number": sequence_number, **flat, "error": detail}) + event(
        "response.failed", {"sequence_number": sequence_number + 1, "response": response}
    )


class ResponsesWriter:
    """Writes the events of a response."""

    def __init__(self, attempt: Attempt) -> None:
        asked = cast("ResponsesAsked", attempt.asked)
        self._shows_seals = out.shows_seals(asked.body)
        self._items = out.Items(attempt, asked.namespaces)
        self._response = out.snapshot(asked.body, attempt, int(time.time()))
        self._order = Order()
        self._number = 0
        self._output: list[dict[str, Any]] = []
        self._reason: FinishReason = "stop"
        self._item: dict[str, Any] = {}
        self._place: dict[str, Any] = {}
        self._pieces: list[str] = []
        self._annotations: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []
        self._text_seal: Seal | None = None
        # How many characters of text came before the open message.
        self._offset = 0
        self._status = "completed"
        self._ways: dict[type, Callable[[Any], list[bytes]]] = {
            PartBegan: self._begin,
            PartEnded: self._end,
            TextDelta: self._text,
            RefusalDelta: self._refusal,
            ThinkingDelta: self._thought,
            ThinkingSealed: self._sealed,
            ToolDelta: self._arguments,
            Cited: self._cited,
            Searched: self._searched,
        }

    def write(self, events: Sequence[Event]) -> bytes:
        """See ``Writer.write``."""
        for each in events:
            if type(each) is Finished:
                # Known before the parts that end with it are written.
                self._reason = each.reason
                self._status = "incomplete" if each.reason in out.INCOMPLETE else "completed"
        return self._opening() + self._written(self._order.order(events))

    def closing(self, usage: Usage) -> bytes:
        """See ``Writer.closing``."""
        last = self._opening() + self._written(self._order.end())
        return last + self._terminal(usage)

    def cut(self, usage: Usage) -> bytes:
        """See ``Writer.cut``."""
        self._reason, self._status = "length", "incomplete"
        return self.closing(usage)

    def failure(self, error: GatewayError) -> bytes:
        """See ``Writer.failure``."""
        first = self._opening()
        return first + failed(error, self._response | {"output": self._output}, self._number)

    def _opening(self) -> bytes:
        if self._number:
            return b""
        return self._event("response.created", {"response": self._response}) + self._event(
            "response.in_progress", {"response": self._response}
        )

    def _terminal(self, usage: Usage) -> bytes:
        response = out.ended(self._response, self._reason, self._output, usage, int(time.time()))
        return self._event(f"response.{response['status']}", {"response": response})

    def _written(self, events: list[Ordered]) -> bytes:
        ways = self._ways
        return b"".join([piece for each in events if type(each) in ways for piece in ways[type(each)](each)])

    def _event(self, kind: str, fields: dict[str, Any]) -> bytes:
        number, self._number = self._number, self._number + 1
        return event(kind, {"sequence_number": number, **fields})

    # Items, from their beginning to their end.

    def _begin(self, began: PartBegan) -> list[bytes]:
        index = len(self._output)
        self._pieces, self._annotations, self._logprobs = [], [], []
        if began.kind == "thinking":
            return self._added(self._items.reasoning(index))
        if began.tool is not None:
            tool, first = began.tool, []
            if tool.seal and self._shows_seals:
                first = self._seal_alone(Seal("gemini", tool.seal, call_id=tool.id))
                index += 1
            return first + self._added(self._items.call(index, tool.id, tool.name, is_custom=tool.is_custom))
        added = self._added(self._items.message(index, began.phase))
        self._place = self._place | {"content_index": 0}
        return [
            *added,
            self._event("response.content_part.added", self._place | {"part": self._part(began.kind)}),
        ]

    def _end(self, ended: PartEnded) -> list[bytes]:
        match ended.kind:
            case "thinking":
                events = self._end_paragraph()
            case "tool":
                events = self._end_call()
            case kind:
                events = self._end_message(kind)
        return events + self._done()

    def _added(self, item: dict[str, Any]) -> list[bytes]:
        index = len(self._output)
        self._item, self._place = item, {"item_id": item["id"], "output_index": index}
        return [self._event("response.output_item.added", {"output_index": index, "item": item})]

    def _done(self) -> list[bytes]:
        item, index = self._item, len(self._output)
        self._place = {}
        if "status" in item:
            item = item | {"status": self._status}
        self._output.append(item)
        events = [self._event("response.output_item.done", {"output_index": index, "item": item})]
        seal, self._text_seal = self._text_seal, None
        return events + self._seal_alone(seal) if seal is not None else events

    def _seal_alone(self, seal: Seal) -> list[bytes]:
        item = self._items.sealed(len(self._output), seal)
        return self._added(item) + self._done()

    # Messages.

    def _part(self, kind: str) -> dict[str, Any]:
        if kind == "refusal":
            return {"type": "refusal", "refusal": "".join(self._pieces)}
        return out.text_part("".join(self._pieces), self._annotations, self._logprobs)

    def _text(self, delta: TextDelta) -> list[bytes]:
        if delta.seal and self._shows_seals:
            self._text_seal = Seal("gemini", delta.seal, is_of_text=True)
        if not delta.text:
            return []
        logprobs = out.logprobs_of(delta.logprobs)
        self._logprobs += logprobs
        self._pieces.append(delta.text)
        fields = {"delta": delta.text, "logprobs": logprobs}
        return [self._event("response.output_text.delta", self._place | fields)]

    def _refusal(self, delta: RefusalDelta) -> list[bytes]:
        self._pieces.append(delta.text)
        return [self._event("response.refusal.delta", self._place | {"delta": delta.text})]

    def _cited(self, cited: Cited) -> list[bytes]:
        if "content_index" not in self._place:
            return []
        shown = out.annotation(cited, self._offset)
        index = len(self._annotations)
        self._annotations.append(shown)
        fields = {"annotation_index": index, "annotation": shown}
        return [self._event("response.output_text.annotation.added", self._place | fields)]

    def _end_message(self, kind: str) -> list[bytes]:
        part = self._part(kind)
        if kind == "text":
            self._offset += len(part["text"])
            fields = {"text": part["text"], "logprobs": self._logprobs}
            last = self._event("response.output_text.done", self._place | fields)
        else:
            last = self._event("response.refusal.done", self._place | {"refusal": part["refusal"]})
        self._item = self._item | {"content": [part]}
        return [last, self._event("response.content_part.done", self._place | {"part": part})]

    # Thoughts.

    def _thought(self, delta: ThinkingDelta) -> list[bytes]:
        events = self._end_paragraph() if delta.starts_part else []
        if not self._pieces:
            self._place = self._place | {"summary_index": len(self._item["summary"])}
            part = {"type": "summary_text", "text": ""}
            events.append(self._event("response.reasoning_summary_part.added", self._place | {"part": part}))
        self._pieces.append(delta.text)
        events.append(
            self._event("response.reasoning_summary_text.delta", self._place | {"delta": delta.text})
        )
        return events

    def _end_paragraph(self) -> list[bytes]:
        if not self._pieces:
            return []
        text, self._pieces = "".join(self._pieces), []
        part = {"type": "summary_text", "text": text}
        self._item = self._item | {"summary": [*self._item["summary"], part]}
        return [
            self._event("response.reasoning_summary_text.done", self._place | {"text": text}),
            self._event("response.reasoning_summary_part.done", self._place | {"part": part}),
        ]

    def _sealed(self, sealed: ThinkingSealed) -> list[bytes]:
        if self._shows_seals:
            seal = Seal(sealed.origin, sealed.seal, sealed.is_redacted)
            self._item = self._item | {"encrypted_content": wrap(seal)}
        return []

    # Tool calls and searches.

    @property
    def _is_custom(self) -> bool:
        return "input" in self._item

    def _arguments(self, delta: ToolDelta) -> list[bytes]:
        self._pieces.append(delta.arguments)
        kind = "custom_tool_call_input" if self._is_custom else "function_call_arguments"
        return [self._event(f"response.{kind}.delta", self._place | {"delta": delta.arguments})]

    def _end_call(self) -> list[bytes]:
        events: list[bytes] = []
        if not self._pieces and not self._is_custom and self._status == "completed":
            # A function without parameters may be called with nothing, which is no JSON.
            events = self._arguments(ToolDelta(0, "{}"))
        given = "".join(self._pieces)
        if self._is_custom:
            self._item = self._item | {"input": given}
            done = self._event("response.custom_tool_call_input.done", self._place | {"input": given})
        else:
            self._item = self._item | {"arguments": given}
            fields = {"name": self._item["name"], "arguments": given}
            done = self._event("response.function_call_arguments.done", self._place | fields)
        return [*events, done]

    def _searched(self, searched: Searched) -> list[bytes]:
        events = self._added(self._items.search(len(self._output), searched.query))
        for step in ("in_progress", "searching", "completed"):
            events.append(self._event(f"response.web_search_call.{step}", self._place))
        return events + self._done()


def render(result: Result, usage: Usage, attempt: Attempt) -> bytes:
    """Write a whole response."""
    asked = cast("ResponsesAsked", attempt.asked)
    now = int(time.time())
    response = out.snapshot(asked.body, attempt, result.created or now)
    choice = result.choices[0]
    collector = _Collector(
        out.Items(attempt, asked.namespaces), choice, shows_seals=out.shows_seals(asked.body)
    )
    return _ENCODER.encode(out.ended(response, choice.reason, collector.output, usage, now))


class _Collector:
    """Makes the items of a whole answer."""

    def __init__(self, items: out.Items, choice: Choice, *, shows_seals: bool) -> None:
        self.output: list[dict[str, Any]] = []
        self._items = items
        self._shows_seals = shows_seals
        self._offset = 0
        self._choice = choice
        self._last_text = max(
            (place for place, part in enumerate(choice.parts) if isinstance(part, Text)), default=-1
        )
        for place, part in enumerate(choice.parts):
            self._add(part, place)
        for item in self.output:
            if "status" in item:
                item["status"] = "completed"
        if choice.reason in out.INCOMPLETE and self.output and "status" in self.output[-1]:
            self.output[-1]["status"] = "incomplete"

    def _add(self, part: Text | Refusal | Thinking | ToolCall | Searched, place: int) -> None:
        match part:
            case Text():
                if part.text or part.signature:
                    self._add_text(part, is_last=place == self._last_text)
            case Refusal():
                content = [{"type": "refusal", "refusal": part.text}]
                self.output.append(self._items.message(len(self.output)) | {"content": content})
            case Thinking():
                self._add_thought(part)
            case ToolCall():
                self._add_call(part)
            case Searched():
                self.output.append(self._items.search(len(self.output), part.query))

    def _add_text(self, part: Text, *, is_last: bool) -> None:
        end = self._offset + len(part.text)
        annotations = [
            out.annotation(cited, self._offset)
            for cited in self._choice.citations
            if (cited.start >= self._offset or not self._offset) and (cited.start < end or is_last)
        ]
        logprobs = out.logprobs_of(self._choice.logprobs) if is_last else []
        content = [out.text_part(part.text, annotations, logprobs)]
        self.output.append(self._items.message(len(self.output), part.phase) | {"content": content})
        self._offset = end
        if part.signature and self._shows_seals:
            seal = Seal("gemini", part.signature, is_of_text=True)
            self.output.append(self._items.sealed(len(self.output), seal))

    def _add_thought(self, part: Thinking) -> None:
        item = self._items.reasoning(len(self.output))
        if part.text:
            item["summary"] = [{"type": "summary_text", "text": part.text}]
        if part.seal and self._shows_seals:
            item["encrypted_content"] = wrap(Seal(part.origin, part.seal, part.is_redacted))
        if part.text or "encrypted_content" in item:
            self.output.append(item)

    def _add_call(self, part: ToolCall) -> None:
        if part.seal and self._shows_seals:
            self.output.append(
                self._items.sealed(len(self.output), Seal("gemini", part.seal, call_id=part.id))
            )
        item = self._items.call(len(self.output), part.id, part.name, is_custom=part.is_custom)
        field = "input" if part.is_custom else "arguments"
        item[field] = part.arguments if part.is_custom else part.arguments or "{}"
        self.output.append(item)
