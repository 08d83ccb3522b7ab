"""Answers and streams as chat completions.

Thoughts go into ``reasoning_content``, as DeepSeek began it and most servers and SDKs follow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from catalog.pricing import Usage
from gateway.asked import Attempt
from gateway.errors import GatewayError
from gateway.events import (
    Choice,
    Cited,
    Event,
    Finished,
    RefusalDelta,
    Result,
    TextDelta,
    ThinkingDelta,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Refusal, Text, Thinking, ToolCall

_ENCODER = msgspec.json.Encoder()


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's ``usage`` of a chat completion."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "audio_tokens": usage.audio_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion_id(attempt: Attempt) -> str:
    """Return the id of a completion: made from the request's own, so that both can be found together."""
    return f"chatcmpl-{attempt.request_id.removeprefix('req_')}"


def render(
    result: Result, usage: Usage, attempt: Attempt, *, hides_thoughts: bool = False, is_legacy: bool = False
) -> bytes:
    """Write a whole chat completion; ``is_legacy`` for clients that know functions but no tools."""
    choices = [
        _choice(index, choice, hides_thoughts=hides_thoughts) for index, choice in enumerate(result.choices)
    ]
    if is_legacy:
        for choice in choices:
            _turn_into_function_call(choice)
    return _ENCODER.encode(
        {
            "id": completion_id(attempt),
            "object": "chat.completion",
            "created": result.created or int(time.time()),
            "model": attempt.model.id,
            "choices": choices,
            "usage": usage_object(usage),
        }
    )


def _choice(index: int, choice: Choice, *, hides_thoughts: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    texts = [part.text for part in choice.parts if isinstance(part, Text)]
    thoughts = [part.text for part in choice.parts if isinstance(part, Thinking) and part.text]
    refusals = [part.text for part in choice.parts if isinstance(part, Refusal)]
    calls = [_call(part) for part in choice.parts if isinstance(part, ToolCall)]
    if texts:
        message["content"] = "".join(texts)
    if thoughts and not hides_thoughts:
        message["reasoning_content"] = "\n\n".join(thoughts)
    if refusals:
        message["refusal"] = "".join(refusals)
    if calls:
        message["tool_calls"] = calls
    if choice.citations:
        message["annotations"] = [_annotation(cited) for cited in choice.citations]
    elif not (texts or calls or refusals):
        message["content"] = ""
    logprobs = {"content": choice.logprobs, "refusal": None} if choice.logprobs is not None else None
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.reason}


def _turn_into_function_call(choice: dict[str, Any]) -> None:
    calls = choice["message"].pop("tool_calls", None)
    if calls:
        choice["message"]["function_call"] = calls[0]["function"]
    if choice["finish_reason"] == "tool_calls":
        choice["finish_reason"] = "function_call"


def _call(part: ToolCall) -> dict[str, Any]:
    if part.is_custom:
        return {"id": part.id, "type": "custom", "custom": {"name": part.name, "input": part.arguments}}
    call = {
        "id": part.id,
        "type": "function",
        "function": {"name": part.name, "arguments": part.arguments or "{}"},
    }
    return call | _sealed(part.seal)


def _sealed(seal: str) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": seal}}} if seal else {}


def _annotation(cited: Cited) -> dict[str, Any]:
    citation = {
        "url": cited.url,
        "title": cited.title,
        "start_index": max(0, cited.start),
        "end_index": max(0, cited.end),
    }
    return {"type": "url_citation", "url_citation": citation}


class ChatWriter:
    """Writes chat completion chunks."""

    def __init__(
        self, attempt: Attempt, *, wants_usage: bool, hides_thoughts: bool = False, is_legacy: bool = False
    ) -> None:
        self._wants_usage = wants_usage
        self._choices = attempt.asked.choices
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._custom: set[tuple[int, int]] = set()
        # Calls are numbered as they begin: SDKs know no number before the one below it.
        self._numbers: dict[tuple[int, int], int] = {}
        head = {
            "id": completion_id(attempt),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": attempt.model.id,
        }
        self._head = _ENCODER.encode(head)[:-1]
        self._ways: dict[type, Callable[[Any], bytes]] = {
            TextDelta: self._text,
            ThinkingDelta: self._thought,
            RefusalDelta: self._refusal,
            ToolBegan: self._tool,
            ToolDelta: self._arguments,
            Cited: self._cited,
            Finished: self._finished,
        }
        if hides_thoughts:
            del self._ways[ThinkingDelta]
        if is_legacy:
            self._ways |= {
                ToolBegan: self._function,
                ToolDelta: self._function_arguments,
                Finished: self._function_finished,
            }
        self._usage_field = b',"usage":null' if wants_usage else b""

    def write(self, events: Sequence[Event]) -> bytes:
        """See ``Writer.write``."""
        return b"".join([self._ways[type(event)](event) for event in events if type(event) in self._ways])

    def _text(self, event: TextDelta) -> bytes:
        return self._delta(event.choice, {"content": event.text}, event.logprobs) if event.text else b""

    def _thought(self, event: ThinkingDelta) -> bytes:
        text = "\n\n" + event.text if event.starts_part and event.choice in self._begun else event.text
        return self._delta(event.choice, {"reasoning_content": text}) if text else b""

    def _refusal(self, event: RefusalDelta) -> bytes:
        return self._delta(event.choice, {"refusal": event.text})

    def _tool(self, event: ToolBegan) -> bytes:
        return self._delta(event.choice, {"tool_calls": [self._began(event)]})

    def _arguments(self, event: ToolDelta) -> bytes:
        return self._delta(event.choice, {"tool_calls": [self._more(event)]}) if event.arguments else b""

    def _function(self, event: ToolBegan) -> bytes:
        number = self._number(event)
        called = {"function_call": {"name": event.name, "arguments": ""}}
        return b"" if number else self._delta(event.choice, called)

    def _function_arguments(self, event: ToolDelta) -> bytes:
        if not event.arguments or self._numbers.get((event.choice, event.key)):
            return b""
        return self._delta(event.choice, {"function_call": {"arguments": event.arguments}})

    def _function_finished(self, event: Finished) -> bytes:
        self._ended.add(event.choice)
        reason = "function_call" if event.reason == "tool_calls" else event.reason
        return self._delta(event.choice, {}, reason=reason)

    def _cited(self, event: Cited) -> bytes:
        return self._delta(event.choice, {"annotations": [_annotation(event)]})

    def _finished(self, event: Finished) -> bytes:
        self._ended.add(event.choice)
        return self._delta(event.choice, {}, reason=event.reason)

    def _number(self, event: ToolBegan) -> int:
        number = sum(choice == event.choice for choice, _ in self._numbers)
        self._numbers[event.choice, event.key] = number
        return number

    def _began(self, event: ToolBegan) -> dict[str, Any]:
        number = self._number(event)
        if event.is_custom:
            self._custom.add((event.choice, event.key))
            body: dict[str, Any] = {"type": "custom", "custom": {"name": event.name, "input": ""}}
        else:
            body = {"type": "function", "function": {"name": event.name, "arguments": ""}}
        return {"index": number, "id": event.id} | body | _sealed(event.seal)

    def _more(self, event: ToolDelta) -> dict[str, Any]:
        number = self._numbers.get((event.choice, event.key), event.key)
        if (event.choice, event.key) in self._custom:
            return {"index": number, "custom": {"input": event.arguments}}
        return {"index": number, "function": {"arguments": event.arguments}}

    def _delta(
        self,
        choice: int,
        delta: dict[str, Any],
        logprobs: msgspec.Raw | None = None,
        reason: str | None = None,
    ) -> bytes:
        if choice not in self._begun:
            self._begun.add(choice)
            delta = {"role": "assistant", "content": ""} | delta
        shown: dict[str, Any] = {"index": choice, "delta": delta, "finish_reason": reason}
        if logprobs is not None:
            shown["logprobs"] = {"content": logprobs, "refusal": None}
        return b'data: %b,"choices":[%b]%b}\n\n' % (self._head, _ENCODER.encode(shown), self._usage_field)

    def closing(self, usage: Usage) -> bytes:
        """See ``Writer.closing``."""
        last = b""
        if self._wants_usage:
            shown = _ENCODER.encode(usage_object(usage))
            last = b'data: %b,"choices":[],"usage":%b}\n\n' % (self._head, shown)
        return last + b"data: [DONE]\n\n"

    def cut(self, usage: Usage) -> bytes:
        """See ``Writer.cut``."""
        open_choices = [choice for choice in range(self._choices) if choice not in self._ended]
        return b"".join([self._delta(choice, {}, reason="length") for choice in open_choices]) + self.closing(
            usage
        )

    def failure(self, error: GatewayError) -> bytes:
        """See ``Writer.failure``; SDKs raise at an ``error`` on the top level."""
        choices = b'[{"index":0,"delta":{},"finish_reason":"error"}]'
        return b'data: %b,"choices":%b,"error":%b}\n\n' % (
            self._head,
            choices,
            _ENCODER.encode(error.detail()),
        )
