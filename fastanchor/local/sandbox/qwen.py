"""Qwen in DashScope's compatible mode: thinks only in streams, and says so in its own way."""

from __future__ import annotations

import re
from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox.chat import AskedChat, Chat
from fastanchor.local.sandbox.chat_request import ChatRequest, chat_conversation, read_chat, reasoning_tokens
from fastanchor.local.sandbox.conversation import CACHE_FROM_TOKENS, BadRequest, Count
from fastanchor.local.sandbox.dialect import Asked, Http, Said, Voice
from fastanchor.local.sandbox.thinking_chat import ThinkingChatVoice

# Open weights think by default; these cannot do otherwise.
_THINKS_BY_DEFAULT = re.compile(r"qwen3-\d+b|qwq|thinking")
_THINKS_ALWAYS = re.compile(r"qwq|thinking")
_MESSAGES = {
    401: "Incorrect API key provided. ",
    403: "Access denied.",
    404: "The model does not exist or you do not have access to it.",
    429: "You exceeded your current requests list.",
    500: "An internal error has occured, please try again later.",
    503: "Service is unavailable.",
}
_CODES = {
    400: "invalid_parameter_error",
    401: "invalid_api_key",
    404: "model_not_found",
    429: "limit_requests",
    500: "internal_error",
}
ONLY_STREAMS = "parameter.enable_thinking must be set to false for non-streaming calls"


class AskedQwen(AskedChat):
    """A request to Qwen."""

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""
        return QwenVoice(self.request, said)


class Qwen(Chat):
    """The dialect ``qwen``."""

    name = "qwen"

    def read(self, http: Http) -> Asked:
        """Read a request."""
        request = read_chat(http.body)
        thinks = _thinks(request)
        if thinks and not request.stream:
            message = f"<400> InternalError.Algo.InvalidParameter: {ONLY_STREAMS}"
            raise BadRequest(message)
        talk = chat_conversation(request)
        talk.thinks = _thought_tokens(request) if thinks else 0
        talk.shows_thoughts = thinks
        return AskedQwen(request, talk)

    def error(self, refusal: BadRequest) -> dict[str, Any]:
        """Return the body of a refusal."""
        code = refusal.kind or _CODES.get(refusal.status, "invalid_request_error")
        message = str(refusal) or _MESSAGES.get(refusal.status, "The request was refused.")
        kind = "invalid_request_error" if refusal.status < 500 else code
        return {
            "error": {"message": message, "type": kind, "param": refusal.param, "code": code},
            "request_id": _trace(),
        }

    def headers(self) -> dict[str, str]:
        """Return no more than a trace."""
        return {"x-request-id": _trace()}

    def blocked(self) -> BadRequest | None:
        """Return the refusal of a prompt that a filter stops."""
        message = (
            "<400> InternalError.Algo.DataInspectionFailed: Input data may contain inappropriate content."
        )
        return BadRequest(message, kind="data_inspection_failed")

    def cached(self, asked: Asked) -> None:
        """Leave the marks of a request to ``QwenVoice.usage``."""


class QwenVoice(ThinkingChatVoice):
    """Writes one answer of Qwen."""

    def marks(self) -> dict[str, Any]:
        """Return what stands in every answer beside the usual."""
        return {"system_fingerprint": None}

    def usage(self, count: Count) -> dict[str, Any]:
        """Return the usage object; a prompt with cache marks is written to the cache on its first use."""
        details: dict[str, Any] = {"cached_tokens": count.cached}
        written = count.written
        if _is_marked(self._request) and self._said.order.usage_written is None:
            details["cache_type"] = "ephemeral"
            written = (
                count.input - count.cached if count.input >= CACHE_FROM_TOKENS and not count.cached else 0
            )
        if written:
            details |= {
                "cache_creation_input_tokens": written,
                "cache_creation": {"ephemeral_5m_input_tokens": written},
            }
        return {
            "prompt_tokens": count.input,
            "completion_tokens": count.output,
            "total_tokens": count.input + count.output,
            "prompt_tokens_details": details,
            "completion_tokens_details": {"reasoning_tokens": count.reasoning},
        }


def _thinks(request: ChatRequest) -> bool:
    if _THINKS_ALWAYS.search(request.model):
        return True
    if request.enable_thinking is None:
        return bool(_THINKS_BY_DEFAULT.search(request.model))
    return request.enable_thinking


def _thought_tokens(request: ChatRequest) -> int:
    if request.thinking_budget is not None:
        return min(request.thinking_budget, reasoning_tokens("medium"))
    return reasoning_tokens(request.reasoning_effort, "medium")


def _is_marked(request: ChatRequest) -> bool:
    contents = [message.get("content") for message in request.messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return any(isinstance(part, dict) and "cache_control" in part for part in parts)


def _trace() -> str:
    return random_base62(32).lower()
