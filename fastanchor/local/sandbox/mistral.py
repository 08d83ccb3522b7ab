"""Mistral: chat completions that know no field beyond their own, with short names of calls and usage in any stream."""

from __future__ import annotations

import re
from typing import Any

from fastanchor.local.sandbox.chat import AskedChat, Chat
from fastanchor.local.sandbox.chat_request import chat_conversation, read_chat
from fastanchor.local.sandbox.conversation import BadRequest
from fastanchor.local.sandbox.dialect import Asked, Event, Http, Said, Voice, decode
from fastanchor.local.sandbox.thinking_chat import ThinkingChatVoice

_FIELDS = {
    "model", "messages", "stream", "max_tokens", "temperature", "top_p", "stop", "random_seed", "response_format",
    "tools", "tool_choice", "presence_penalty", "frequency_penalty", "n", "prediction", "parallel_tool_calls",
    "prompt_mode", "reasoning_effort", "safe_prompt", "metadata",
}  # fmt: skip
_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_MESSAGES = {401: "Unauthorized", 429: "Requests rate limit exceeded", 500: "Service unavailable."}


class AskedMistral(AskedChat):
    """A request to Mistral."""

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""
        return MistralVoice(self.request, said)


class Mistral(Chat):
    """The dialect ``mistral``."""

    name = "mistral"

    def read(self, http: Http) -> Asked:
        """Read a request."""
        body = decode(http.body, "The body is not valid JSON.")
        if unknown := body.keys() - _FIELDS:
            message = f"Extra inputs are not permitted: {min(unknown)}"
            raise BadRequest(message, status=422)
        _check_calls(body["messages"])
        request = read_chat(http.body)
        return AskedMistral(request, chat_conversation(request))

    def error(self, refusal: BadRequest) -> dict[str, Any]:
        """Return the body of a refusal, which stands alone and names no field."""
        message = str(refusal) or _MESSAGES.get(refusal.status, "The request was refused.")
        kind = "invalid_request_error" if refusal.status < 500 else "internal_server_error"
        return {
            "object": "error",
            "message": message,
            "type": kind,
            "param": None,
            "code": refusal.kind or None,
        }

    def headers(self) -> dict[str, str]:
        """Return no more than a trace."""
        return {"mistral-correlation-id": "sandbox"}


class MistralVoice(ThinkingChatVoice):
    """Writes one answer of Mistral."""

    def closing(self) -> list[Event]:
        """End each choice; the last chunk reports the usage, asked or not."""
        events = super().closing()
        ends = [each.payload for each in events if isinstance(each.payload, dict)]
        if ends and not self._said.order.no_usage:
            ends[-1]["usage"] = self.usage(self._said.count)
        return events

    def marks(self) -> dict[str, Any]:
        """Return nothing beside the usual."""
        return {}


def _check_calls(messages: list[dict[str, Any]]) -> None:
    made = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    answered = [message["tool_call_id"] for message in messages if message.get("role") == "tool"]
    for each in (*made, *answered):
        if not _CALL_ID.fullmatch(each):
            message = f"Tool call id was {each} but must be a-z, A-Z, 0-9, with a length of 9."
            raise BadRequest(message)
