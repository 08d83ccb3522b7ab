"""Answers and streams as Anthropic's messages.

Thoughts become thinking blocks. What a provider sealed, be it a thought, a call or a text, travels in their signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from catalog.pricing import Usage
from gateway.asked import Attempt
from gateway.errors import GatewayError
from gateway.events import (
    AnswerPart,
    Cited,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Result,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolDelta,
)
from gateway.form import Refusal, Text, Thinking, ToolCall
from gateway.formats import sequence
from gateway.formats.messages_errors import error_object
from gateway.formats.messages_seals import Seal, unwrap, wrap
from gateway.formats.sequence import PartBegan, PartEnded

_ENCODER = msgspec.json.Encoder()
_STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'


def message_id(attempt: Attempt) -> str:
    """Return the id of a message: made from the request's own, so that both can be found together."""
    return f"msg_{attempt.request_id.removeprefix('req_')}"


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return Anthropic's ``usage``: what was read from or written to the cache is not part of the input."""
    fresh = max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens)
    shown: dict[str, Any] = {
        "input_tokens": fresh,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }
    if usage.searches:
        shown["server_tool_use"] = {"web_search_requests": usage.searches, "web_fetch_requests": 0}
    return shown


def _stop(reason: FinishReason, stop_sequence: str) -> dict[str, Any]:
    if reason == "stop" and stop_sequence:
        return {"stop_reason": "stop_sequence", "stop_sequence": stop_sequence}
    return {"stop_reason": _STOP_REASONS[reason], "stop_sequence": None}


def render(result: Result, usage: Usage, attempt: Attempt) -> bytes:
    """Write a whole message."""
    choice = result.choices[0]
    kept = {
        "ephemeral_5m_input_tokens": usage.cache_write_tokens - usage.cache_write_1h_tokens,
        "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
    }
    content = [block for part in choice.parts for block in _blocks(part)]
    while content and _is_seal_of_text(content[-1]):
        content.pop()
    _cite(content, choice.citations)
    return _ENCODER.encode(
        {
            "id": message_id(attempt),
            "type": "message",
            "role": "assistant",
            "model": attempt.model.id,
            "content": content,
            **_stop(choice.reason, choice.stop_sequence),
            "usage": usage_object(usage) | {"cache_creation": kept, "service_tier": "standard"},
        }
    )


def _blocks(part: AnswerPart) -> list[dict[str, Any]]:
    match part:
        case Text():
            blocks = [{"type": "text", "text": part.text}] if part.text else []
            return blocks + _carrier(Seal("text", part.signature, is_of_text=True))
        case Refusal():
            return [{"type": "text", "text": part.text}] if part.text else []
        case Thinking():
            return [_thinking(part.text, part.seal, part.origin, part.id, is_redacted=part.is_redacted)]
        case ToolCall():
            call = {"type": "tool_use", "id": part.id, "name": part.name, "input": _input(part.arguments)}
            return [*_carrier(Seal("call", part.seal, call_id=part.id)), call]
        case _:
            return []


def _thinking(text: str, seal: str, origin: str, id_: str, *, is_redacted: bool = False) -> dict[str, Any]:
    signature = wrap(Seal(origin, seal, is_redacted=is_redacted, id=id_)) if seal else ""
    if is_redacted:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": text, "signature": signature}


def _carrier(seal: Seal) -> list[dict[str, Any]]:
    """Return a thought that only carries the seal of a call or text, if there is one."""
    return [{"type": "thinking", "thinking": "", "signature": wrap(seal)}] if seal.seal else []


def _is_seal_of_text(block: dict[str, Any]) -> bool:
    # At the end of an answer it is left out: clients take the last block for what was said, and no provider insists.
    return block["type"] == "thinking" and not block["thinking"] and unwrap(block["signature"]).is_of_text


def _input(arguments: str) -> dict[str, Any]:
    try:
        given: Any = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}


def _cite(content: list[dict[str, Any]], citations: list[Cited]) -> None:
    said = 0
    text = "".join(block["text"] for block in content if block["type"] == "text")
    for block in content:
        if block["type"] != "text":
            continue
        until = said + len(block["text"])
        own = [_citation(each, text) for each in citations if each.end < 0 or said < each.end <= until]
        if own:
            block["citations"] = own
            citations = [each for each in citations if each.end > until]
        said = until


def _citation(cited: Cited, text: str) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "url": cited.url,
        "title": cited.title or None,
        "encrypted_index": "",
        "cited_text": text[max(0, cited.start) : cited.end] if cited.end > 0 else "",
    }


class MessagesWriter:
    """Writes the events of a message's stream."""

    def __init__(self, attempt: Attempt) -> None:
        self._sequence = sequence.Sequence()
        self._attempt = attempt
        self._has_begun = False
        self._index = -1
        # A text or thought is shown with its first words: an empty block could not be sent back.
        self._is_shown = False
        self._kind = ""
        self._said: list[str] = []
        # Carries the seal of a text, once something follows on it.
        self._carriers: list[dict[str, Any]] = []
        self._finished = Finished("stop")
        self._ways: dict[type, Callable[[Any], bytes]] = {
            PartBegan: self._part_began,
            PartEnded: self._part_ended,
            TextDelta: self._say,
            RefusalDelta: self._say,
            ThinkingDelta: self._thought,
            ThinkingSealed: self._sealed,
            ToolDelta: self._arguments,
            Cited: self._cited,
            Finished: self._finish,
        }

    def write(self, events: Sequence[Event]) -> bytes:
        """See ``Writer.write``."""
        return self._start() + self._ordered(self._sequence.order(events))

    def _ordered(self, events: list[sequence.Ordered]) -> bytes:
        return b"".join([self._ways[type(event)](event) for event in events if type(event) in self._ways])

    def _start(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        message: dict[str, Any] = {
            "id": message_id(self._attempt),
            "type": "message",
            "role": "assistant",
            "model": self._attempt.model.id,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # The upstream has not reported yet; what message_delta says counts.
            "usage": {
                "input_tokens": 0,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 0,
            },
        }
        return _event("message_start", {"message": message}) + _PING

    def _part_began(self, part: PartBegan) -> bytes:
        self._is_shown, self._kind = part.tool is not None, part.kind
        if part.tool is None:
            return b""
        tool = part.tool
        id_ = tool.id or f"toolu_{self._attempt.request_id.removeprefix('req_')}_{tool.key}"
        carriers = b"".join(self._whole(each) for each in _carrier(Seal("call", tool.seal, call_id=id_)))
        return carriers + self._block({"type": "tool_use", "id": id_, "name": tool.name, "input": {}})

    def _show(self, content: dict[str, Any]) -> bytes:
        if self._is_shown:
            return b""
        self._is_shown = True
        return self._block(content)

    def _block(self, content: dict[str, Any]) -> bytes:
        carriers, self._carriers = self._carriers, []
        before = b"".join([self._whole(each) for each in carriers])
        self._index += 1
        return before + _event("content_block_start", {"index": self._index, "content_block": content})

    def _whole(self, thought: dict[str, Any]) -> bytes:
        """Write a thought that consists of nothing but its signature."""
        begin = self._block(thought | {"signature": ""})
        delta = {"type": "signature_delta", "signature": thought["signature"]}
        return begin + self._delta(delta) + self._stop_block()

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
            % (
                self._index,
                _ENCODER.encode(delta),
            )
        )

    def _stop_block(self) -> bytes:
        return b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index

    def _part_ended(self, _part: PartEnded) -> bytes:
        is_shown, self._is_shown = self._is_shown, False
        return self._stop_block() if is_shown else b""

    def _say(self, event: TextDelta | RefusalDelta) -> bytes:
        out = b""
        if event.text:
            self._said.append(event.text)
            out = self._end_sealed_text() + self._show({"type": "text", "text": ""})
            out += self._delta({"type": "text_delta", "text": event.text})
        if isinstance(event, TextDelta) and event.seal:
            self._carriers += _carrier(Seal("text", event.seal, is_of_text=True))
        return out

    def _end_sealed_text(self) -> bytes:
        # What follows on a sealed text is a block of its own.
        if not (self._is_shown and self._carriers):
            return b""
        self._is_shown = False
        return self._stop_block()

    def _thought(self, event: ThinkingDelta) -> bytes:
        text = "\n\n" + event.text if event.starts_part and self._is_shown else event.text
        shown = self._show({"type": "thinking", "thinking": "", "signature": ""})
        return shown + self._delta({"type": "thinking_delta", "thinking": text})

    def _sealed(self, event: ThinkingSealed) -> bytes:
        block = _thinking("", event.seal, event.origin, event.id, is_redacted=event.is_redacted)
        if event.is_redacted:
            return self._show(block)
        shown = self._show({"type": "thinking", "thinking": "", "signature": ""})
        return shown + self._delta({"type": "signature_delta", "signature": block["signature"]})

    def _arguments(self, event: ToolDelta) -> bytes:
        return self._delta({"type": "input_json_delta", "partial_json": event.arguments})

    def _cited(self, event: Cited) -> bytes:
        # Between texts there is no place for a citation.
        if not self._is_shown or self._kind not in {"text", "refusal"}:
            return b""
        return self._delta({"type": "citations_delta", "citation": _citation(event, "".join(self._said))})

    def _finish(self, event: Finished) -> bytes:
        self._finished = event
        return b""

    def closing(self, usage: Usage) -> bytes:
        """See ``Writer.closing``."""
        return self._end(_stop(self._finished.reason, self._finished.stop_sequence), usage)

    def cut(self, usage: Usage) -> bytes:
        """See ``Writer.cut``."""
        return self._end(_stop("length", ""), usage)

    def _end(self, stop: dict[str, Any], usage: Usage) -> bytes:
        rest = self._start() + self._ordered(self._sequence.end())
        delta = _event("message_delta", {"delta": stop, "usage": usage_object(usage)})
        return rest + delta + _event("message_stop", {})

    def failure(self, error: GatewayError) -> bytes:
        """See ``Writer.failure``."""
        return _event("error", {"error": error_object(error)})


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _ENCODER.encode({"type": kind} | fields))
