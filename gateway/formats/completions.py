"""The retired ``/v1/completions`` as a client's format: one prompt, answered by any chat model.

What only the models of its time could do, such as filling in between a prompt and a suffix, is refused. Thoughts have
no place in it and are left out. Without ``max_tokens`` the answer ends where the model ends it, not after 16 tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from catalog.pricing import Usage
from gateway import form as f
from gateway.asked import NO_UNITS, Attempt, Prompt
from gateway.errors import GatewayError, InvalidRequest
from gateway.events import Choice, Event, Finished, RefusalDelta, Result, TextDelta
from gateway.formats.chat_body import Count, Penalty, Share, Short, StreamOptions, Temperature
from gateway.formats.chat_writer import completion_id, usage_object
from gateway.formats.manners import OpenAiManners
from gateway.formats.reading import read
from gateway.wishes import Wishes

_ENCODER = msgspec.json.Encoder()
_PARAMS = {"max_output": "max_tokens", "choices": "n", "messages": "prompt", "top_logprobs": "logprobs"}


class CompletionRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A body as the caller sent it."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    prompt: str | list[Any]
    best_of: Annotated[int, Meta(ge=1, le=20)] | None = None
    echo: bool | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    max_tokens: Count | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    presence_penalty: Penalty | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Short | Annotated[list[Short], Meta(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    user: Short | None = None


_DECODER = msgspec.json.Decoder(CompletionRequest)


class CompletionAsked:
    """A completion that was asked; see ``Asked``."""

    __slots__ = ("_form", "body", "prompt", "text")
    wishes: Wishes | None = None

    def __init__(self, body: CompletionRequest) -> None:
        self.body = body
        self.text = _prompt(body.prompt)
        self.prompt = Prompt(
            text_bytes=len(self.text.encode("utf-8", "surrogatepass")), images=0, audios=0, files=0
        )
        self._form: f.Form | None = None

    @property
    def model(self) -> str:
        """See ``Asked``."""
        return self.body.model

    @property
    def is_stream(self) -> bool:
        """See ``Asked``."""
        return bool(self.body.stream)

    @property
    def choices(self) -> int:
        """See ``Asked``."""
        return self.body.n or 1

    @property
    def explicit_max(self) -> int | None:
        """See ``Asked``."""
        return self.body.max_tokens

    @property
    def most_units(self) -> Usage:
        """See ``Asked``."""
        return NO_UNITS

    @property
    def echoed(self) -> str:
        """Return what stands before each answer."""
        return self.text if self.body.echo else ""

    @property
    def wants_usage(self) -> bool:
        """Tell whether a stream ends with a chunk that reports the usage."""
        options = self.body.stream_options
        return bool(options and options.include_usage)

    def form(self) -> f.Form:
        """See ``Asked``."""
        if self._form is None:
            self._form = _form(self.body, self.text)
        return self._form


def _prompt(prompt: str | list[Any]) -> str:
    text = prompt[0] if isinstance(prompt, list) and len(prompt) == 1 else prompt
    if not isinstance(text, str):
        raise InvalidRequest(
            "'prompt' must be one text: several prompts need a request each, and tokens are not read.",
            param="prompt",
        )
    if not text:
        raise InvalidRequest("'prompt' must not be empty.", param="prompt")
    return text


def _form(body: CompletionRequest, text: str) -> f.Form:
    return f.Form(
        messages=[f.Message("user", [f.Text(text)])],
        max_output=body.max_tokens,
        choices=body.n or 1,
        temperature=body.temperature,
        top_p=body.top_p,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        seed=body.seed,
        stop=[body.stop] if isinstance(body.stop, str) else body.stop or [],
        logprobs=body.logprobs is not None,
        top_logprobs=body.logprobs,
        logit_bias=body.logit_bias or {},
        user=body.user or "",
        is_stream=bool(body.stream),
    )


def _refuse_unsupported(body: CompletionRequest) -> None:
    if body.suffix:
        raise InvalidRequest(
            "'suffix' is not offered: chat models do not fill in before a text.", param="suffix"
        )
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise InvalidRequest(
            "'best_of' must be the same as 'n': answers are not compared here.", param="best_of"
        )
    if body.echo and body.logprobs is not None:
        raise InvalidRequest("'echo' cannot report the log probabilities of a prompt.", param="echo")
    if body.stream_options is not None and not body.stream:
        raise InvalidRequest("'stream_options' needs 'stream': true.", param="stream_options")


class Completions(OpenAiManners):
    """The format of ``/v1/completions``."""

    name = "completions"
    kind = "chat"
    params = _PARAMS

    def parse(self, body: bytes, headers: Mapping[str, str]) -> CompletionAsked:
        """See ``Format.parse``."""
        request = read(_DECODER, body)
        _refuse_unsupported(request)
        return CompletionAsked(request)

    def render(self, result: Result, usage: Usage, attempt: Attempt) -> bytes:
        """See ``TextFormat.render``."""
        assert isinstance(attempt.asked, CompletionAsked)
        echoed = attempt.asked.echoed
        head = _head(attempt, result.created)
        choices = [_choice(index, choice, echoed) for index, choice in enumerate(result.choices)]
        return _ENCODER.encode(head | {"choices": choices, "usage": usage_object(usage)})

    def writer(self, attempt: Attempt) -> CompletionWriter:
        """See ``TextFormat.writer``."""
        assert isinstance(attempt.asked, CompletionAsked)
        return CompletionWriter(attempt, attempt.asked)


def _head(attempt: Attempt, created: int) -> dict[str, Any]:
    return {
        "id": completion_id(attempt).replace("chatcmpl-", "cmpl-", 1),
        "object": "text_completion",
        "created": created or int(time.time()),
        "model": attempt.model.id,
    }


def _choice(index: int, choice: Choice, echoed: str) -> dict[str, Any]:
    text = "".join(part.text for part in choice.parts if isinstance(part, f.Text | f.Refusal))
    return {
        "text": echoed + text,
        "index": index,
        "logprobs": _logprobs(choice.logprobs, 0),
        "finish_reason": _reason(choice.reason),
    }


def _reason(reason: str) -> str:
    return "stop" if reason == "tool_calls" else reason


def _logprobs(raw: Raw | None, offset: int) -> dict[str, Any] | None:
    """Return a chat completion's list of log probabilities in the shape of old; ``offset`` is where its text starts."""
    if raw is None:
        return None
    tokens: list[dict[str, Any]] = msgspec.json.decode(raw) or []
    offsets: list[int] = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token["token"])
    return {
        "tokens": [token["token"] for token in tokens],
        "token_logprobs": [token["logprob"] for token in tokens],
        "top_logprobs": [
            {each["token"]: each["logprob"] for each in token.get("top_logprobs") or ()} for token in tokens
        ],
        "text_offset": offsets,
    }


class CompletionWriter:
    """Writes the chunks of a completion."""

    def __init__(self, attempt: Attempt, asked: CompletionAsked) -> None:
        self._head = _ENCODER.encode(_head(attempt, 0))[:-1]
        self._wants_usage = asked.wants_usage
        self._choices = asked.choices
        self._echoed = asked.echoed
        self._ended: set[int] = set()
        # How much text each choice has, for the offsets of its log probabilities.
        self._lengths: dict[int, int] = {}
        self._ways: dict[type, Callable[[Any], bytes]] = {
            TextDelta: self._text,
            RefusalDelta: lambda event: self._chunk(event.choice, event.text),
            Finished: self._finished,
        }

    def write(self, events: Sequence[Event]) -> bytes:
        """See ``Writer.write``."""
        return b"".join([self._ways[type(event)](event) for event in events if type(event) in self._ways])

    def _text(self, event: TextDelta) -> bytes:
        return self._chunk(event.choice, event.text, logprobs=event.logprobs) if event.text else b""

    def _finished(self, event: Finished) -> bytes:
        self._ended.add(event.choice)
        return self._chunk(event.choice, "", reason=_reason(event.reason))

    def _chunk(
        self, choice: int, text: str, *, logprobs: Raw | None = None, reason: str | None = None
    ) -> bytes:
        length = self._lengths.get(choice)
        if length is None:
            length, text = 0, self._echoed + text
        self._lengths[choice] = length + len(text)
        shown = {
            "text": text,
            "index": choice,
            "logprobs": _logprobs(logprobs, length),
            "finish_reason": reason,
        }
        usage = b',"usage":null' if self._wants_usage else b""
        return b'data: %b,"choices":[%b]%b}\n\n' % (self._head, _ENCODER.encode(shown), usage)

    def closing(self, usage: Usage) -> bytes:
        """See ``Writer.closing``."""
        last = b""
        if self._wants_usage:
            last = b'data: %b,"choices":[],"usage":%b}\n\n' % (
                self._head,
                _ENCODER.encode(usage_object(usage)),
            )
        return last + b"data: [DONE]\n\n"

    def cut(self, usage: Usage) -> bytes:
        """See ``Writer.cut``."""
        open_choices = [choice for choice in range(self._choices) if choice not in self._ended]
        cut_off = b"".join([self._chunk(choice, "", reason="length") for choice in open_choices])
        return cut_off + self.closing(usage)

    def failure(self, error: GatewayError) -> bytes:
        """See ``Writer.failure``; SDKs raise at an ``error`` on the top level."""
        return b'data: %b,"choices":[],"error":%b}\n\n' % (self._head, _ENCODER.encode(error.detail()))
