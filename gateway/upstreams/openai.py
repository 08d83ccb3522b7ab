"""OpenAI's chat completions, as OpenAI and every compatible server speak it.

Shapes: OpenAI's published specification; usage fields of DeepSeek and Qwen as their documentation names them.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from catalog.pricing import Usage
from catalog.snapshot import Channel, Route
from gateway.schemas import ChatRequest, StreamOptions
from gateway.upstreams.base import Answer, BadAnswer, Prepared

MAX_COMPLAINT = 500
MAX_TOKENS = 1_000_000_000
_TARGET = "/chat/completions"
_ENCODER = msgspec.json.Encoder()


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None


class _ToolDelta(msgspec.Struct):
    index: int | None = None
    function: dict[str, Any] | None = None


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


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: int = 0
    choices: list[_StreamChoice] = []
    usage: _Usage | None = None
    error: msgspec.Raw | None = None


class _Message(msgspec.Struct):
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None
    function_call: dict[str, Any] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)
# What an error text of an upstream must not carry to a caller: keys, tokens, addresses.
_PRIVATE = re.compile(
    r"(?:\b(?:sk|pk|rk|key|gsk|xai|AIza)[-_A-Za-z0-9]{8,}|Bearer\s+\S+|https?://\S+|\borg-\w+)"
)


# OpenAI's newer models refuse max_tokens; compatible servers often know nothing else.
_BOUND_NAMES = {"openai": "max_completion_tokens"}
# Codes of an account without credit, and how Anthropic says it with status 400. Matched from the start of the text
# only: what a caller wrote and a provider quotes must not take a channel out.
_EMPTY_ACCOUNT_CODES = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached"})
_EMPTY_ACCOUNT_TEXT = "Your credit balance is too low"


class OpenAiAdapter:
    """The adapter for OpenAI and compatible servers."""

    def prepare(self, request: ChatRequest, route: Route, *, output_bound: int | None) -> Prepared:
        """Write the request for this route's channel; see ``Adapter.prepare``."""
        channel = route.channel
        fields: dict[str, Any] = {
            "model": route.upstream_model,
            "metadata": None,
            "service_tier": None,
            "store": None,
        }
        if request.stream:
            # OpenAI pads its chunks unless told not to; other servers may refuse to hear of it.
            padding = False if channel.provider == "openai" else None
            fields["stream_options"] = StreamOptions(include_usage=True, include_obfuscation=padding)
        if output_bound is not None:
            fields[_BOUND_NAMES.get(channel.provider, "max_tokens")] = output_bound
        headers = [("content-type", "application/json")]
        if request.stream:
            headers.append(("accept", "text/event-stream"))
        if channel.api_key:
            headers.append(("authorization", f"Bearer {channel.api_key}"))
        body = _ENCODER.encode(msgspec.structs.replace(request, **fields))
        return Prepared(target=_TARGET, headers=tuple(headers), body=body)

    def answer(self, body: bytes, *, model_id: str) -> Answer:
        """Read a whole answer; see ``Adapter.answer``."""
        try:
            raw: Any = msgspec.json.decode(body)
            completion = msgspec.convert(raw, _Completion)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise BadAnswer("not a chat completion") from exc
        if completion.error or not completion.choices:
            raise BadAnswer("an error with status 200")
        raw["model"] = model_id
        raw["object"] = "chat.completion"
        meter = _TextMeter()
        for choice in completion.choices:
            _count_message(meter, choice.message)
        return Answer(
            body=_ENCODER.encode(raw),
            usage=_usage(completion.usage),
            text_tokens=meter.tokens,
            has_output=meter.has_output,
            finish_reason=completion.choices[0].finish_reason or "",
            upstream_id=completion.id or "",
        )

    def stream(self, *, model_id: str, wants_usage: bool) -> OpenAiStream:
        """Start to translate a stream; see ``Adapter.stream``."""
        return OpenAiStream(model_id=model_id, wants_usage=wants_usage)

    def blames_our_account(self, body: bytes) -> bool:
        """Tell whether a refusal means that our own account at the provider has no credit."""
        try:
            error = msgspec.json.decode(body)["error"]
            is_named = {error.get("code"), error.get("type")} & _EMPTY_ACCOUNT_CODES
            return bool(is_named) or str(error.get("message")).startswith(_EMPTY_ACCOUNT_TEXT)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError):
            return False

    def complaint(self, body: bytes, channel: Channel) -> tuple[str, str | None]:
        """Read the message and ``param`` of a refusal, without keys and addresses."""
        message, param = "The model's provider refused the request as invalid.", None
        try:
            error = msgspec.json.decode(body)["error"]
            message, param = str(error["message"]), error.get("param")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError):
            pass
        message = message.replace(channel.api_key, "[removed]") if channel.api_key else message
        return _PRIVATE.sub("[removed]", message)[:MAX_COMPLAINT], param if isinstance(param, str) else None


def _usage(reported: _Usage | None) -> Usage | None:
    if reported is None:
        return None
    details, output = reported.prompt_tokens_details, reported.completion_tokens_details
    counts = (
        reported.prompt_tokens,
        (details and details.cached_tokens) or reported.prompt_cache_hit_tokens or 0,
        (details and (details.cache_write_tokens or details.cache_creation_input_tokens)) or 0,
        # Gemini's compatible endpoint leaves its thoughts out of completion_tokens, but not out of the total.
        max(reported.completion_tokens, reported.total_tokens - reported.prompt_tokens),
        (output and output.reasoning_tokens) or 0,
    )
    # A report beyond any model is none: it could neither be paid nor stored.
    return Usage(*counts) if min(counts) >= 0 and max(counts) <= MAX_TOKENS else None


class _TextMeter:
    """Estimates output tokens: at least one a chunk, a quarter per ASCII character, one per other character."""

    __slots__ = ("_chunks", "_quarters", "has_output")

    def __init__(self) -> None:
        self._quarters = 0
        self._chunks = 0
        self.has_output = False

    def count(self, text: str) -> None:
        self._quarters += len(text) if text.isascii() else 4 * len(text)
        self._chunks += 1
        self.has_output = True

    @property
    def tokens(self) -> int:
        return max(self._chunks, (self._quarters + 3) // 4)


def _count_message(meter: _TextMeter, message: _Message) -> None:
    for text in (message.reasoning_content, message.reasoning, message.refusal):
        if text:
            meter.count(text)
    for part in (message.content, message.tool_calls, message.function_call):
        if part:
            meter.count(part if isinstance(part, str) else _ENCODER.encode(part).decode())


class OpenAiStream:
    """Translates a stream of chat completion chunks; bytes pass as they came wherever they may."""

    def __init__(self, *, model_id: str, wants_usage: bool) -> None:
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.upstream_id = ""
        self.is_done = False
        self._meter = _TextMeter()
        self._model_id = model_id
        self._wants_usage = wants_usage
        self._created = 0
        self._has_begun = False
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self._last_reason = ""
        self._is_compact = True
        self._usage_details: dict[str, Any] = {}
        self._model_field = b""
        self._our_field = b'"model":' + _ENCODER.encode(model_id)

    @property
    def has_output(self) -> bool:
        """Tell whether content, a tool call or reasoning was seen."""
        return self._meter.has_output

    @property
    def output_tokens(self) -> int:
        """Return the output so far, estimated."""
        return self._meter.tokens

    def feed(self, event: bytes) -> bytes:
        """Translate the data of one event; see ``StreamTranslator.feed``."""
        if event == b"[DONE]":
            self.is_done = True
            return b""
        try:
            chunk = _CHUNK.decode(event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise BadAnswer("not a chunk") from exc
        if chunk.error is not None:
            raise BadAnswer("an error inside the stream")
        if not self._has_begun:
            self._begin(event, chunk)
        if not self._note(chunk):
            event = _index_tool_calls(event)
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
        return _event(raw | {"model": self._model_id})

    def _begin(self, event: bytes, chunk: _Chunk) -> None:
        self._has_begun = True
        self.upstream_id = chunk.id or ""
        self._created = chunk.created
        # An unescaped "model": cannot stand inside a JSON string, so the first one is the chunk's own field.
        self._model_field = b'"model":' + _ENCODER.encode(chunk.model)
        # Servers that write blanks or no model get every chunk written anew.
        self._is_compact = self._model_field in event

    def _note(self, chunk: _Chunk) -> bool:
        is_plain = True
        for choice in chunk.choices:
            self._follow(choice)
            delta = choice.delta
            if delta is None:
                continue
            text = delta.content or delta.reasoning_content or delta.reasoning or delta.refusal
            if text:
                self._meter.count(text if isinstance(text, str) else _ENCODER.encode(text).decode())
            if delta.tool_calls:
                for call in delta.tool_calls:
                    is_plain = is_plain and call.index is not None
                    self._meter.count(str((call.function or {}).get("arguments") or ""))
            elif delta.function_call:
                self._meter.count(str(delta.function_call.get("arguments") or ""))
        return is_plain

    def _follow(self, choice: _StreamChoice) -> None:
        # Of several choices each ends by itself; the stream has ended when the last one has. What comes for a choice
        # after its end, such as OpenRouter's empty delta beside the usage, does not open it again.
        if choice.finish_reason:
            self._open.discard(choice.index)
            self._ended.add(choice.index)
            self._last_reason = choice.finish_reason
        elif choice.index not in self._ended:
            self._open.add(choice.index)
        self.finish_reason = "" if self._open else self._last_reason

    def _without_usage(self, event: bytes, chunk: _Chunk) -> bytes:
        # Usage is sent on at the end, in a chunk of its own, and only to those who asked.
        raw: dict[str, Any] = msgspec.json.decode(event)
        self.usage, self._usage_details = _usage(chunk.usage), raw.pop("usage")
        if not chunk.choices:
            return b""
        return _event(raw | {"model": self._model_id})

    def closing(self, usage: Usage) -> bytes:
        """End a finished stream; see ``StreamTranslator.closing``."""
        return self._usage_event(usage) + b"data: [DONE]\n\n"

    def cut(self, usage: Usage) -> bytes:
        """End a stream that must stop here with finish reason ``length``."""
        cut_off = sorted(self._open) or [0]
        last = self._chunk([{"index": index, "delta": {}, "finish_reason": "length"} for index in cut_off])
        return _event(last) + self.closing(usage)

    def failure(self, detail: dict[str, str | None]) -> bytes:
        """Tell that the stream broke; SDKs raise at an ``error`` on the top level."""
        last = self._chunk([{"index": 0, "delta": {}, "finish_reason": "error"}])
        return _event(last | {"error": detail})

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.upstream_id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model_id,
            "choices": choices,
        }

    def _usage_event(self, usage: Usage) -> bytes:
        if not self._wants_usage:
            return b""
        shown = self._usage_details or {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
        return _event(self._chunk([]) | {"usage": shown})


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _ENCODER.encode(chunk) + b"\n\n"


def _index_tool_calls(event: bytes) -> bytes:
    # Gemini's compatible endpoint leaves the index out; both SDKs need it.
    raw: dict[str, Any] = msgspec.json.decode(event)
    for choice in raw["choices"]:
        for index, call in enumerate((choice.get("delta") or {}).get("tool_calls") or ()):
            call.setdefault("index", index)
    return _ENCODER.encode(raw)
