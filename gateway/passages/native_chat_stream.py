"""A stream of chat completion chunks passed on as it is, from an upstream that speaks the same as the client."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from catalog.pricing import Usage
from fastanchor.lib.ids import new_id
from gateway.errors import GatewayError
from gateway.passages.base import MeteredStream, RememberingStream
from gateway.passages.native_chat_repairs import add_to_call, tell_parts, tell_usage
from gateway.upstreams import openai_wire
from gateway.upstreams.base import NONSENSE, BadAnswer
from gateway.upstreams.openai_chat_calls import CallNumbers
from gateway.upstreams.openai_chat_reader import REASONS, ChatReader, plain_reason

_ENCODER = msgspec.json.Encoder()


class _ToolDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: dict[str, Any] | None = None
    custom: dict[str, Any] | None = None


class _Delta(msgspec.Struct):
    # Mistral sends its thinking as a list of parts.
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolDelta] | None = None
    function_call: dict[str, Any] | None = None


class _StreamChoice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    # Moonshot reports here, and Groq beside the choices.
    usage: Any = None


class _Groq(msgspec.Struct):
    usage: Any = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    choices: list[_StreamChoice] | None = None
    usage: Any = None
    # Some servers of open models write an error flat, as an object of this name.
    object: str | None = None
    error: msgspec.Raw | None = None
    x_groq: _Groq | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)
_NOT_YET = object()


class NativeChatStream(MeteredStream, RememberingStream):
    """Translates a stream of chat completion chunks; bytes pass as they came wherever they may."""

    # Reads for the keeper, where something will be wanted back.
    reader: ChatReader | None = None

    def __init__(
        self, *, model_id: str, wants_usage: bool, is_openai: bool = False, has_search: bool = False
    ) -> None:
        super().__init__()
        self._model_id = model_id
        self._wants_usage = wants_usage
        self._created = 0
        self._told_model: object = _NOT_YET
        self._shown_id = ""
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self._last_reason = ""
        self._is_openai = is_openai
        self._has_search = has_search
        # The numbers of each choice's tool calls, and of those in the present event.
        self._numbers: dict[int, CallNumbers] = {}
        self._numbered: list[tuple[int, str]] = []
        self._named: set[tuple[int, int]] = set()
        self._is_compact = True
        self._usage_details: dict[str, Any] = {}
        self._model_field = b""
        self._our_field = b'"model":' + _ENCODER.encode(model_id)

    def feed(self, event: bytes) -> bytes:
        """Translate the data of one event; see ``StreamTranslator.feed``."""
        if event == b"[DONE]":
            self.is_done = True
            return b""
        try:
            chunk = _CHUNK.decode(event)
        except NONSENSE as exc:
            raise BadAnswer("not a chunk") from exc
        if chunk.error is not None or chunk.object == "error":
            raise BadAnswer("an error inside the stream")
        if self.reader is not None and self.keeper is not None:
            self.keeper.take(self.reader.feed(event))
        if chunk.model != self._told_model:
            self._meet(event, chunk)
        is_plain = self._is_more_text(chunk) or self._note(chunk)
        if not is_plain or (chunk.choices and b'"finish_reason"' not in event):
            event = self._repaired(event)
        if chunk.usage is not None:
            return self._without_usage(event, chunk)
        return self._plain(event) if chunk.choices else b""

    def _plain(self, event: bytes) -> bytes:
        if not self._is_compact or b"\n" in event:
            return self._rewritten(event)
        if not self._wants_usage:
            event = event.replace(b',"usage":null', b"", 1)
        return b"data: " + event.replace(self._model_field, self._our_field, 1) + b"\n\n"

    def _rewritten(self, event: bytes) -> bytes:
        raw: dict[str, Any] = msgspec.json.decode(event)
        if not self._wants_usage:
            raw.pop("usage", None)
        for place, choice in enumerate(raw["choices"]):
            choice.setdefault("index", place)
        return _event(raw | self._head())

    def _head(self) -> dict[str, Any]:
        return {
            "id": self._shown_id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model_id,
        }

    def _meet(self, event: bytes, chunk: _Chunk) -> None:
        """Note who speaks: in the first chunk, and where a server changes its model's name afterwards."""
        if self._told_model is not _NOT_YET:
            self._is_compact = False
            return
        self.upstream_id = chunk.id or ""
        self._shown_id = self.upstream_id or new_id("chatcmpl")
        self._created = int(chunk.created or time.time())
        self._told_model = chunk.model
        # An unescaped "model": cannot stand inside a JSON string, so the first one is the chunk's own field.
        self._model_field = b'"model":' + _ENCODER.encode(chunk.model)
        # The chunks of servers that write blanks, or leave out what SDKs look for, are written anew.
        fields = (self._model_field, b'"object":', b'"index":')
        is_complete = bool(chunk.id) and isinstance(chunk.created, int)
        self._is_compact = is_complete and all(field in event for field in fields)

    def _is_more_text(self, chunk: _Chunk) -> bool:
        """Count a chunk that only goes on with the text of its one choice, as nearly all do; tell whether it was one."""
        if chunk.choices is None or len(chunk.choices) != 1:
            return False
        choice = chunk.choices[0]
        delta = choice.delta
        if delta is None or choice.finish_reason is not None or choice.index not in self._open:
            return False
        text = delta.content
        if not text or type(text) is not str or delta.tool_calls or delta.function_call:
            return False
        self._meter.count(text)
        return True

    def _note(self, chunk: _Chunk) -> bool:
        """Count what a chunk says and follow its choices; tell whether it can pass as it is."""
        self._numbered.clear()
        is_plain = True
        if chunk.x_groq is not None and chunk.x_groq.usage is not None:
            self._take_usage(chunk.x_groq.usage)
        for choice in chunk.choices or ():
            if choice.usage is not None:
                self._take_usage(choice.usage)
            delta = choice.delta
            if delta is not None:
                text = delta.content or delta.reasoning_content or delta.reasoning or delta.refusal
                if text:
                    self._meter.count(text if isinstance(text, str) else _ENCODER.encode(text).decode())
                    is_plain = is_plain and isinstance(text, str)
                if delta.tool_calls:
                    is_plain = self._count_calls(choice.index, delta.tool_calls) and is_plain
                elif delta.function_call:
                    self._meter.count(str(delta.function_call.get("arguments") or ""))
            # Some servers write an empty reason until there is one.
            is_plain = self._follow(choice) and is_plain and delta is not None and choice.finish_reason != ""
        return is_plain

    def _count_calls(self, choice: int, calls: list[_ToolDelta]) -> bool:
        numbers = self._numbers.get(choice)
        if numbers is None:
            numbers = self._numbers[choice] = CallNumbers()
        is_plain = True
        for call in calls:
            function = call.function or call.custom or {}
            number = numbers.of(call.index, call.id or "", str(function.get("name") or ""))
            is_plain = is_plain and number == call.index
            made = ""
            if function.get("name") and (choice, number) not in self._named:
                self._named.add((choice, number))
                # Without an id a result could not name its call.
                made = call.id or new_id("call")
                is_plain = is_plain and made == call.id and bool(call.type)
            # Where the event is written anew, the calls stand in the same order.
            self._numbered.append((number, made))
            more = function.get("arguments") or function.get("input") or ""
            is_plain = is_plain and isinstance(more, str)
            self._meter.count(str(more))
        return is_plain

    def _follow(self, choice: _StreamChoice) -> bool:
        # Of several choices each ends by itself; the stream has ended when the last one has. What comes for a choice
        # after its end, such as OpenRouter's empty delta beside the usage, does not open it again.
        said = choice.finish_reason
        if said:
            self._open.discard(choice.index)
            self._ended.add(choice.index)
            self._last_reason = self._reason(said, choice.index)
        elif choice.index not in self._ended:
            self._open.add(choice.index)
        self.finish_reason = "" if self._open else self._last_reason
        return not said or said == self._last_reason

    def _reason(self, said: str, choice: int) -> str:
        # Clients of the function calls of old wait for their own word, and OpenAI's own words are its own business.
        if said == "function_call" or (self._is_openai and said in REASONS):
            return said
        return plain_reason(said, has_calls=choice in self._numbers)

    def _repaired(self, event: bytes) -> bytes:
        """Write an event with numbered calls, plain texts and OpenAI's own finish reasons, or SDKs fail."""
        raw: dict[str, Any] = msgspec.json.decode(event)
        numbered = iter(self._numbered)
        for choice in raw["choices"]:
            delta = choice.get("delta") or {}
            if isinstance(delta.get("content"), list):
                tell_parts(delta)
            for call in delta.get("tool_calls") or ():
                call["index"], made = next(numbered)
                add_to_call(call, made)
            choice["delta"] = delta
            choice["finish_reason"] = choice.get("finish_reason") or None
            if choice["finish_reason"]:
                choice["finish_reason"] = self._reason(choice["finish_reason"], choice.get("index", 0))
        return _ENCODER.encode(raw)

    def _without_usage(self, event: bytes, chunk: _Chunk) -> bytes:
        # Usage is sent on at the end, in a chunk of its own, and only to those who asked.
        raw: dict[str, Any] = msgspec.json.decode(event)
        self._take_usage(chunk.usage)
        self._usage_details = raw.pop("usage")
        tell_usage(self._usage_details, self.usage)
        if not chunk.choices:
            return b""
        return _event(raw | self._head())

    def _take_usage(self, told: Any) -> None:
        self.usage = openai_wire.usage_of(told, has_search=self._has_search)

    def closing(self, usage: Usage) -> bytes:
        """End a finished stream; see ``StreamTranslator.closing``."""
        return self._usage_event(usage) + b"data: [DONE]\n\n"

    def cut(self, usage: Usage) -> bytes:
        """End a stream that must stop here with finish reason ``length``."""
        cut_off = sorted(self._open) or [0]
        last = self._chunk([{"index": index, "delta": {}, "finish_reason": "length"} for index in cut_off])
        return _event(last) + self.closing(usage)

    def failure(self, error: GatewayError) -> bytes:
        """Tell that the stream broke; SDKs raise at an ``error`` on the top level."""
        last = self._chunk([{"index": 0, "delta": {}, "finish_reason": "error"}])
        return _event(last | {"error": error.detail()})

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return self._head() | {"choices": choices}

    def _usage_event(self, usage: Usage) -> bytes:
        if not self._wants_usage:
            return b""
        # What is not believed is not billed, and not shown either.
        told = self._usage_details if usage == self.usage else {}
        shown = told or {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
        return _event(self._chunk([]) | {"usage": shown})


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _ENCODER.encode(chunk) + b"\n\n"
