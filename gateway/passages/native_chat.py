"""Chat completions passed on as they are, from a chat client to an upstream that speaks the same.

Shapes: OpenAI's published specification; usage fields of DeepSeek and Qwen as their documentation names them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from catalog.pricing import Usage
from gateway.asked import Attempt
from gateway.formats.chat import Chat, ChatAsked
from gateway.formats.chat_body import StreamOptions
from gateway.formats.chat_writer import usage_object
from gateway.keepsakes import Keeper, Keepsake, Need, Remembering, keepsake_of
from gateway.metering import TextMeter
from gateway.passages.base import Answer
from gateway.passages.native_chat_repairs import add_head, complete, tell_usage
from gateway.passages.native_chat_request import adapted, must_be_rewritten, speaks_otherwise
from gateway.passages.native_chat_stream import NativeChatStream
from gateway.passages.translation import TranslatedStream, Translation
from gateway.passages.whole_stream import TellsWhole
from gateway.upstreams import openai_wire
from gateway.upstreams.base import NONSENSE, BadAnswer, CannotExpress, Prepared, Splitter
from gateway.upstreams.compatible import OPENAI, dialect_of
from gateway.upstreams.openai_chat import TARGET, OpenAIChat, is_stream, refuse_what_differs
from gateway.upstreams.sse import EventSplitter

_ENCODER = msgspec.json.Encoder()


class _Message(msgspec.Struct):
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    id: str | None = None
    created: int | float | None = None
    model: str | None = None
    usage: openai_wire.ReportedUsage | None = None
    error: Any = None


class _OddCompletion(_Completion):
    """One whose report nobody can read; the answer beside it is good all the same."""

    usage: Any = None


_COMPLETION = msgspec.json.Decoder(_Completion)
_ODD_COMPLETION = msgspec.json.Decoder(_OddCompletion)


class NativeChat(Remembering, TellsWhole, openai_wire.OpenAiErrors):
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
        if attempt.asked.prompt.has_search and not dialect.search_field:
            raise CannotExpress("web_search", "This model's provider offers no web search on this path.")
        is_written_anew = (
            dialect.is_strict
            or attempt.remembered is not None
            or "streams_only" in attempt.model.traits
            or must_be_rewritten(request, dialect)
        )
        if is_written_anew:
            return self._translation.prepare(attempt)
        if not dialect.is_own:
            refuse_what_differs(dialect, choices=attempt.asked.choices, has_logprobs=bool(request.logprobs))
        fields, dropped = adapted(request, dialect, attempt.model)
        fields["model"] = route.upstream_model
        if request.stream:
            fields["stream_options"] = StreamOptions(
                include_usage=True, include_obfuscation=False if dialect.has_padding else None
            )
        if output_bound is not None or (not dialect.is_own and request.explicit_max is not None):
            fields["max_tokens"] = fields["max_completion_tokens"] = None
            fields[dialect.bound_name] = attempt.max_output
        body = _ENCODER.encode(msgspec.structs.replace(request, **fields))
        return Prepared(
            TARGET, openai_wire.headers(channel, is_stream=bool(request.stream)), body, tuple(dropped)
        )

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """Read a whole answer; see ``Passage.answer``."""
        assert isinstance(attempt.asked, ChatAsked)
        dialect = dialect_of(attempt.route.channel)
        if (
            not dialect.has_plain_answers
            or (body[:1] != b"{" and is_stream(body))
            or speaks_otherwise(attempt.asked.body, dialect)
        ):
            return self._translation.answer(body, attempt)
        try:
            completion = _completion(body)
        except NONSENSE as exc:
            raise BadAnswer("not a chat completion") from exc
        if completion.error or not completion.choices:
            raise BadAnswer("an error with status 200")
        meter = TextMeter()
        for choice in completion.choices:
            _count_message(meter, choice.message)
        shown = _renamed(body, completion.model, attempt.model.id) if dialect is OPENAI else None
        reason = completion.choices[0].finish_reason
        usage = openai_wire.usage_of(completion.usage, has_search=attempt.asked.prompt.has_search)
        if shown is None:
            shown, reason = _written_anew(
                body, completion, attempt.model.id, usage, is_openai=dialect is OPENAI
            )
        return Answer(
            body=shown,
            again=partial(_with_usage, shown),
            usage=usage,
            text_tokens=meter.tokens,
            has_output=meter.has_output,
            finish_reason=reason or "",
            upstream_id=completion.id or "",
            keepsake=self._keepsake(body, attempt) if attempt.asked.prompt.has_tools else [],
        )

    def _keepsake(self, body: bytes, attempt: Attempt) -> Keepsake:
        return keepsake_of(self._adapter.answer(body, attempt.form)) if self.need(attempt) else []

    def stream(self, attempt: Attempt) -> NativeChatStream | TranslatedStream:
        """Start to translate a stream; see ``Passage.stream``."""
        assert isinstance(attempt.asked, ChatAsked)
        dialect = dialect_of(attempt.route.channel)
        if not dialect.has_plain_answers or speaks_otherwise(attempt.asked.body, dialect):
            return self._translation.stream(attempt)
        stream = NativeChatStream(
            model_id=attempt.model.id,
            wants_usage=attempt.asked.wants_usage,
            is_openai=dialect is OPENAI,
            has_search=attempt.asked.prompt.has_search,
        )
        if self.need(attempt):
            stream.keeper, stream.reader = Keeper(), self._adapter.reader(attempt.form)
        return stream

    def whole_stream(self, attempt: Attempt) -> TranslatedStream:
        """See ``TellsWhole.whole_stream``."""
        return self._translation.whole_stream(attempt)

    def splitter(self) -> Splitter:
        """Start to cut a stream into events."""
        return EventSplitter()


def _completion(body: bytes) -> _Completion:
    try:
        return _COMPLETION.decode(body)
    except msgspec.ValidationError:
        return _ODD_COMPLETION.decode(body)


def _with_usage(body: bytes, billed: Usage) -> bytes:
    raw: dict[str, Any] = msgspec.json.decode(body)
    return _ENCODER.encode(raw | {"usage": usage_object(billed)})


def _renamed(body: bytes, told: str | None, model_id: str) -> bytes | None:
    """Return an answer of OpenAI's own with the model's name as the caller knows it; ``None`` where it is not plain."""
    for field in (b'"model":' + _ENCODER.encode(told), b'"model": ' + _ENCODER.encode(told)):
        place = body.find(field)
        # Before the choices only the answer's own name can stand.
        if 0 <= place < body.find(b'"choices"'):
            return b'%b"model":%b%b' % (body[:place], _ENCODER.encode(model_id), body[place + len(field) :])
    return None


def _written_anew(
    body: bytes, completion: _Completion, model_id: str, usage: Usage | None, *, is_openai: bool
) -> tuple[bytes, str | None]:
    """Return an answer with all that OpenAI's clients expect, and why it ended."""
    raw: Any = msgspec.json.decode(body)
    raw["model"] = model_id
    raw["object"] = "chat.completion"
    if not is_openai:
        # Other servers' tiers are none of OpenAI's words.
        raw.pop("service_tier", None)
        tell_usage(raw.get("usage"), usage)
        add_head(raw)
        for place, (choice, shown) in enumerate(zip(completion.choices, raw["choices"], strict=True)):
            shown.setdefault("index", place)
            complete(shown, choice.finish_reason)
    return _ENCODER.encode(raw), raw["choices"][0].get("finish_reason")


def _count_message(meter: TextMeter, message: _Message) -> None:
    for text in (message.reasoning_content, message.reasoning, message.refusal):
        if text:
            meter.count(text)
    for part in (message.content, message.tool_calls, message.function_call):
        if part:
            meter.count(part if isinstance(part, str) else _ENCODER.encode(part).decode())
