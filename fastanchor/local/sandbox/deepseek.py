"""DeepSeek's chat: thinks unless told not to, and wants its thoughts back with every tool turn."""

from __future__ import annotations

from typing import Any

from fastanchor.local.sandbox.chat import AskedChat, Chat
from fastanchor.local.sandbox.chat_request import ChatRequest, chat_conversation, read_chat, reasoning_tokens
from fastanchor.local.sandbox.conversation import BadRequest, Count
from fastanchor.local.sandbox.dialect import Asked, Http, Said, Voice
from fastanchor.local.sandbox.thinking_chat import ThinkingChatVoice

_MESSAGES = {
    401: "Authentication Fails, Your api key: ****ebug is invalid",
    402: "Insufficient Balance",
    429: "Rate Limit Reached",
    500: "Internal Server Error",
    503: "Server Overloaded",
}
_TYPES = {401: "authentication_error", 402: "unknown_error", 422: "invalid_request_error"}
# Other names of an effort that the protocol takes.
_EFFORTS = {"minimal": "low", "medium": "high", "xhigh": "high", "ultra": "max", None: "high"}


class AskedDeepSeek(AskedChat):
    """A request to DeepSeek."""

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""
        return DeepSeekVoice(self.request, said)


class DeepSeek(Chat):
    """The dialect ``deepseek``."""

    name = "deepseek"

    def read(self, http: Http) -> Asked:
        """Read a request."""
        request = read_chat(http.body)
        thinks = (request.thinking or {}).get("type", "enabled") != "disabled"
        _refuse_what_it_lacks(request)
        if thinks:
            _demand_thoughts(request)
        talk = chat_conversation(request)
        effort = _EFFORTS.get(request.reasoning_effort, request.reasoning_effort)
        talk.thinks = reasoning_tokens(effort) if thinks else 0
        talk.shows_thoughts = thinks
        return AskedDeepSeek(request, talk)

    def error(self, refusal: BadRequest) -> dict[str, Any]:
        """Return the body of a refusal."""
        message = str(refusal) or _MESSAGES.get(refusal.status, "The request was refused.")
        kind = _TYPES.get(refusal.status, "invalid_request_error" if refusal.status < 500 else "server_error")
        return {
            "error": {
                "message": message,
                "type": kind,
                "param": None,
                "code": refusal.kind or "invalid_request_error",
            }
        }

    def headers(self) -> dict[str, str]:
        """Return no more than a trace."""
        return {"x-ds-trace-id": "0123456789abcdef0123456789abcdef"}

    def blocked(self) -> BadRequest | None:
        """Return the refusal of a prompt that a filter stops."""
        return BadRequest("Content Exists Risk")


class DeepSeekVoice(ThinkingChatVoice):
    """Writes one answer of DeepSeek."""

    def marks(self) -> dict[str, Any]:
        """Return what stands in every answer beside the usual."""
        return {"system_fingerprint": "fp_sandbox_prod_kvcache"}

    def finish_words(self) -> dict[str, str]:
        """Return what each end is called."""
        return {**super().finish_words(), "refusal": "content_filter"}

    def usage(self, count: Count) -> dict[str, Any]:
        """Return the usage object."""
        return {
            "prompt_tokens": count.input,
            "completion_tokens": count.output,
            "total_tokens": count.input + count.output,
            "prompt_tokens_details": {"cached_tokens": count.cached},
            "completion_tokens_details": {"reasoning_tokens": count.reasoning},
            "prompt_cache_hit_tokens": count.cached,
            "prompt_cache_miss_tokens": count.input - count.cached,
        }


def _refuse_what_it_lacks(request: ChatRequest) -> None:
    if any(tool.get("type") != "function" for tool in request.tools or []):
        message = "Failed to deserialize the JSON body into the target type: tools[0].type: unknown variant, expected `function`"
        raise BadRequest(message, status=422)
    if (request.response_format or {}).get("type") == "json_schema":
        message = "This response_format type is unavailable now"
        raise BadRequest(message)


def _demand_thoughts(request: ChatRequest) -> None:
    for message in request.messages:
        if message.get("tool_calls") and not message.get("reasoning_content"):
            text = "The `reasoning_content` in the thinking mode must be passed back to the API."
            raise BadRequest(text)
