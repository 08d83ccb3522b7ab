"""Azure OpenAI: OpenAI's chat format with the findings of content filters in every answer."""

from __future__ import annotations

from typing import Any

from fastanchor.local.sandbox.answers import Choice
from fastanchor.local.sandbox.chat import AskedChat, Chat, ChatVoice
from fastanchor.local.sandbox.chat_request import chat_conversation, read_chat
from fastanchor.local.sandbox.conversation import BadRequest
from fastanchor.local.sandbox.dialect import Asked, Event, Http, Said, Voice

_KINDS = ("hate", "self_harm", "sexual", "violence")
_SAFE = {kind: {"filtered": False, "severity": "safe"} for kind in _KINDS}
_ABOUT_PROMPT = [{"prompt_index": 0, "content_filter_results": _SAFE}]
_BLOCKED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify "
    "your prompt and retry."
)


class AskedAzure(AskedChat):
    """A chat request that was read."""

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""
        return AzureVoice(self.request, said)


class Azure(Chat):
    """The dialect ``azure``."""

    name = "azure"

    def read(self, http: Http) -> Asked:
        """Read a request."""
        request = read_chat(http.body)
        return AskedAzure(request, chat_conversation(request))

    def headers(self) -> dict[str, str]:
        """Return the headers that Azure sends."""
        return {"x-ms-region": "East US", "apim-request-id": "sandbox"}

    def blocked(self) -> BadRequest | None:
        """Return the refusal of a prompt that a filter stops."""
        return BadRequest(_BLOCKED, "prompt", kind="content_filter")


class AzureVoice(ChatVoice):
    """Writes one chat answer."""

    def whole(self) -> dict[str, Any]:
        """Return the body of an answer in one piece."""
        return {**super().whole(), "prompt_filter_results": _ABOUT_PROMPT}

    def opening(self) -> list[Event]:
        """Begin with what the filters say of the prompt, in a chunk that is none."""
        head = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        return [Event({**head, "prompt_filter_results": _ABOUT_PROMPT}), *super().opening()]

    def closing(self) -> list[Event]:
        """End each choice; what the filters say of the text comes first, without a delta."""
        found = {"content_filter_results": _SAFE, "finish_reason": None, "index": 0}
        offsets = {"content_filter_offsets": {"check_offset": 0, "start_offset": 0, "end_offset": 1}}
        head = {"id": "", "object": "", "created": 0, "model": ""}
        return [Event({**head, "choices": [{**found, **offsets}]}), *super().closing()]

    def _whole(self, index: int, choice: Choice) -> dict[str, Any]:
        return {**super()._whole(index, choice), "content_filter_results": _SAFE}
