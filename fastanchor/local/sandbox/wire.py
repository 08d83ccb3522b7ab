"""OpenAI's chat format: bodies, stream events, errors."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox.answers import Answer, Choice, ToolCall
from fastanchor.local.sandbox.directives import Directive

MODELS = {
    "gpt-4o": "openai",
    "gpt-4.1": "openai",
    "claude-sonnet-4-20250514": "anthropic",
    "claude-haiku-4-20250514": "anthropic",
    "gemini-3.0-pro": "google",
    "deepseek-v4-flash": "deepseek",
    "deepseek-v4-pro": "deepseek",
    "qwen-3.7-max": "alibaba",
}

_CREATED = 1_760_000_000
_PADDING = 16
_ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The sandbox was told to refuse this request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "You have run out of credits."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Access from your region is not supported.",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests per min (RPM)."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", "server_overloaded", "The engine is currently overloaded, please try again later."),
}


def usage(answer: Answer, directive: Directive, *, prompt_tokens: int, cached_tokens: int) -> dict[str, Any]:
    """Return the usage object, with the numbers that the directive wants instead of the counts."""
    prompt, cached, output = directive.usage_in, directive.usage_cached, directive.usage_out
    if prompt is None:
        prompt, cached = prompt_tokens, cached_tokens if cached is None else cached
    output = answer.completion_tokens if output is None else output
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": cached or 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": min(answer.reasoning_tokens, output),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion(model: str, answer: Answer, counted: dict[str, Any] | None) -> dict[str, Any]:
    """Return the body of an answer in one piece."""
    choices = [_whole(index, choice) for index, choice in enumerate(answer.choices)]
    body = {**_head("chat.completion", model), "choices": choices}
    return body if counted is None else {**body, "usage": counted}


class Chunks:
    """Builds the events of one stream; all share id and time."""

    def __init__(
        self, model: str, *, has_usage: bool, is_padded: bool, is_spaced: bool, line_end: bytes
    ) -> None:
        self._head = _head("chat.completion.chunk", model)
        self._tail: dict[str, Any] = {"usage": None} if has_usage else {}
        self._is_padded = is_padded
        self._write = _write_spaced if is_spaced else msgspec.json.encode
        self._line_end = line_end

    @property
    def answer_id(self) -> str:
        """Return the id that every event carries."""
        return str(self._head["id"])

    def delta(self, index: int, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        """Return one event of one choice."""
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        padding = {"obfuscation": random_base62(_PADDING)} if self._is_padded else {}
        return self.event(self._write({**self._head, "choices": [choice], **self._tail, **padding}))

    def usage(self, counted: dict[str, Any]) -> bytes:
        """Return the event before the end that carries the totals."""
        return self.event(self._write({**self._head, "choices": [], "usage": counted}))

    def error(self, status: int) -> bytes:
        """Return an error in the stream."""
        return self.event(self._write(error(status)))

    def comment(self) -> bytes:
        """Return a keep-alive comment."""
        return b": keep-alive" + self._line_end * 2

    def event(self, payload: bytes) -> bytes:
        """Return one ``data`` event."""
        return b"data: " + payload + self._line_end * 2


def error(status: int, message: str | None = None, param: str | None = None) -> dict[str, Any]:
    """Return OpenAI's error body for a status."""
    kind, code, text = _ERRORS.get(status, _ERRORS[500 if status >= 500 else 400])
    return {"error": {"message": message or text, "type": kind, "param": param, "code": code}}


def models() -> dict[str, Any]:
    """Return the list of models; other names are served too."""
    return {
        "object": "list",
        "data": [
            {"id": id_, "object": "model", "created": _CREATED, "owned_by": owner}
            for id_, owner in MODELS.items()
        ],
    }


def _write_spaced(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _head(kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{random_base62(29)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }


def _whole(index: int, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(choice.pieces),
        "refusal": None,
        "annotations": [],
    }
    if choice.calls:
        message |= {"content": None, "tool_calls": [_whole_call(call) for call in choice.calls]}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish_reason}


def _whole_call(call: ToolCall) -> dict[str, Any]:
    field = "input" if call.kind == "custom" else "arguments"
    return {"id": call.id, "type": call.kind, call.kind: {"name": call.name, field: "".join(call.pieces)}}
