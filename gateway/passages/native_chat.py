"""Chat completions passed on as they are, from a chat client to an upstream that speaks the same.

Shapes: OpenAI's published specification; usage fields of DeepSeek and Qwen as their documentation names them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from catalog.pricing import Usage
from catalog.snapshot import Channel, Model
from gateway.asked import Attempt
from gateway.errors import GatewayError
from gateway.formats.chat import Chat, ChatAsked
from gateway.formats.chat_body import THOUGHT_FIELDS, ChatRequest, StreamOptions
from gateway.formats.chat_form import reasoning_of
from gateway.keepsakes import Keeper, Keepsake, Need, Remembering, keepsake_of
from gateway.metering import TextMeter
from gateway.passages.base import Answer, RememberingStream
from gateway.passages.translation import Translation
from gateway.upstreams import openai_wire
from gateway.upstreams.base import BadAnswer, CannotExpress, Prepared, Splitter
from gateway.upstreams.compatible import dialect_of
from gateway.upstreams.openai_chat import TARGET, OpenAIChat, is_stream, refuse_what_differs
from gateway.upstreams.openai_chat_dialect import Dialect
from gateway.upstreams.openai_chat_reader import ChatReader
from gateway.upstreams.sse import EventSplitter

_ENCODER = msgspec.json.Encoder()


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
    usage: openai_wire.ReportedUsage | None = None
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
    usage: openai_wire.ReportedUsage | None = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)
_SAMPLING = ("temperature", "top_p", "top_k")
_TUNING = (
    *_SAMPLING, "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "seed", "logit_bias",
    "verbosity", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
)  # fmt: skip


class NativeChat(Remembering):
    """The passage from chat clients to OpenAI and compatible servers.

    Where a server refuses what it does not know, the request is written anew through the form; answers always pass.
    """

    def __init__(self) -> None:
        self._adapter = OpenAIChat()
        self._translation = Translation(Chat(), self._adapter)

    def need(self, attempt: Attempt) -> Need:
        """See ``Remembering.need``."""
        return self._translation.need(attempt)

    def prepare(self, attempt: Attempt) -> Prepared:
        """Write the request for this route's channel; see ``Passage.prepare``."""
        assert isinstance(attempt.asked, ChatAsked)
        request, route, output_bound = attempt.asked.body, attempt.route, attempt.output_bound
        channel = route.channel
        dialect = dialect_of(channel)
        if dialect.is_strict or attempt.remembered is not None or "streams_only" in attempt.model.traits:
            return self._adapter.prepare(attempt.form, attempt)
        refuse_what_differs(dialect, choices=attempt.asked.choices, has_logprobs=bool(request.logprobs))
        if attempt.asked.prompt.has_search and not dialect.search_field:
            raise CannotExpress("web_search", "This model's provider offers no web search on this path.")
        fields, dropped = _adapted(request, dialect, attempt.model)
        fields |= {
            "model": route.upstream_model,
            "metadata": None,
            "service_tier": None,
            "store": None,
            "usage": None,
        }
        if request.stream:
            fields["stream_options"] = StreamOptions(
                include_usage=True, include_obfuscation=False if dialect.has_padding else None
            )
        if output_bound is not None:
            fields[dialect.bound_name] = output_bound
        body = _ENCODER.encode(msgspec.structs.replace(request, **fields))
        return Prepared(
            TARGET, openai_wire.headers(channel, is_stream=bool(request.stream)), body, tuple(dropped)
        )

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """Read a whole answer; see ``Passage.answer``."""
        if is_stream(body):
            return self._translation.answer(body, attempt)
        try:
            raw: Any = msgspec.json.decode(body)
            completion = msgspec.convert(raw, _Completion)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise BadAnswer("not a chat completion") from exc
        if completion.error or not completion.choices:
            raise BadAnswer("an error with status 200")
        raw["model"] = attempt.model.id
        raw["object"] = "chat.completion"
        meter = TextMeter()
        for choice in completion.choices:
            _count_message(meter, choice.message)
        return Answer(
            body=_ENCODER.encode(raw),
            usage=openai_wire.usage_of(completion.usage),
            text_tokens=meter.tokens,
            has_output=meter.has_output,
            finish_reason=completion.choices[0].finish_reason or "",
            upstream_id=completion.id or "",
            keepsake=self._keepsake(body, attempt),
        )

    def _keepsake(self, body: bytes, attempt: Attempt) -> Keepsake:
        return keepsake_of(self._adapter.answer(body, attempt.form)) if self.need(attempt) else []

    def stream(self, attempt: Attempt) -> NativeChatStream:
        """Start to translate a stream; see ``Passage.stream``."""
        assert isinstance(attempt.asked, ChatAsked)
        stream = NativeChatStream(model_id=attempt.model.id, wants_usage=attempt.asked.wants_usage)
        if self.need(attempt):
            stream.keeper, stream.reader = Keeper(), self._adapter.reader(attempt.form)
        return stream

    def splitter(self) -> Splitter:
        """Start to cut a stream into events."""
        return EventSplitter()

    def blames_our_account(self, body: bytes) -> bool:
        """See ``Passage.blames_our_account``."""
        return openai_wire.blames_our_account(body)

    def complaint(self, body: bytes, channel: Channel) -> tuple[str, str | None]:
        """See ``Passage.complaint``."""
        return openai_wire.complaint(body, channel)


def _adapted(request: ChatRequest, dialect: Dialect, model: Model) -> tuple[dict[str, Any], list[str]]:
    """Return what must be sent otherwise than it was written, and the names of what is left out."""
    dropped = [name for name in _TUNING if getattr(request, name) is not None and name not in dialect.takes]
    if "no_sampling" in model.traits:
        dropped += [name for name in _SAMPLING if name not in dropped and getattr(request, name) is not None]
    fields: dict[str, Any] = dict.fromkeys(dropped)
    if request.metadata is not None:
        dropped.append("metadata")
    if request.is_reasoned:
        written, left_out = _thoughts(request, dialect, model)
        fields |= written
        dropped += left_out
    if (
        dialect.thoughts_field != "reasoning_content"
        and "*" not in dialect.vendor
        and _shows_thoughts(request)
    ):
        fields["messages"] = _without_thoughts(request.messages)
    return fields, dropped


def _thoughts(request: ChatRequest, dialect: Dialect, model: Model) -> tuple[dict[str, Any], list[str]]:
    """Return what the caller said of thoughts in the server's own words; a server of someone's own gets theirs."""
    if "*" in dialect.vendor and "reasoning" in model.capabilities:
        return {}, []
    written = dialect.reasoning(reasoning_of(request), model)
    fields: dict[str, Any] = dict.fromkeys(name for name in THOUGHT_FIELDS if name not in dialect.vendor)
    return fields | (written or {}), ["reasoning"] if written is None else []


def _shows_thoughts(request: ChatRequest) -> bool:
    return b'"reasoning' in bytes(request.messages)


def _without_thoughts(messages: msgspec.Raw) -> msgspec.Raw:
    """Leave out earlier thoughts in another provider's words: a client echoes what it was sent."""
    turns = msgspec.json.decode(messages, type=list[dict[str, msgspec.Raw]])
    for turn in turns:
        turn.pop("reasoning_content", None)
        turn.pop("reasoning", None)
    return msgspec.Raw(_ENCODER.encode(turns))


def _count_message(meter: TextMeter, message: _Message) -> None:
    for text in (message.reasoning_content, message.reasoning, message.refusal):
        if text:
            meter.count(text)
    for part in (message.content, message.tool_calls, message.function_call):
        if part:
            meter.count(part if isinstance(part, str) else _ENCODER.encode(part).decode())


class NativeChatStream(RememberingStream):
    """Translates a stream of chat completion chunks; bytes pass as they came wherever they may."""

    # Reads for the keeper, where something will be wanted back.
    reader: ChatReader | None = None

    def __init__(self, *, model_id: str, wants_usage: bool) -> None:
        self.usage: Usage | None = None
        self.finish_reason = ""
        self.upstream_id = ""
        self.is_done = False
        self._meter = TextMeter()
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
        if self.reader is not None and self.keeper is not None:
            self.keeper.take(self.reader.feed(event))
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
        self.usage, self._usage_details = openai_wire.usage_of(chunk.usage), raw.pop("usage")
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

    def failure(self, error: GatewayError) -> bytes:
        """Tell that the stream broke; SDKs raise at an ``error`` on the top level."""
        last = self._chunk([{"index": 0, "delta": {}, "finish_reason": "error"}])
        return _event(last | {"error": error.detail()})

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
