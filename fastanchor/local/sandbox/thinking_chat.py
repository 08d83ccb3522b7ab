"""Chat completions of the providers that show what their models think, beside the text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastanchor.local.sandbox.answers import Choice, Delta
from fastanchor.local.sandbox.chat import ChatVoice
from fastanchor.local.sandbox.dialect import Event


class ThinkingChatVoice(ChatVoice):
    """Writes one answer with its ``reasoning_content``, and none of what only OpenAI sends."""

    def first_delta(self) -> dict[str, Any]:
        """Return the delta that begins a choice."""
        thoughts = {"reasoning_content": ""} if self._said.answer.shows_thoughts else {}
        return {"role": "assistant", "content": None if thoughts else "", **thoughts}

    def say(self, delta: Delta) -> list[Event]:
        """Write one piece; a refusal has no field of its own."""
        return super().say(replace(delta, kind="text") if delta.kind == "refusal" else delta)

    def pads(self) -> bool:
        """Say that chunks carry no padding."""
        return False

    def message(self, choice: Choice) -> dict[str, Any]:
        """Return the message of an answer in one piece."""
        message = super().message(choice)
        del message["refusal"], message["annotations"]
        message["content"] = choice.text
        if self._said.answer.shows_thoughts:
            message["reasoning_content"] = self._said.answer.thought
        for number, call in enumerate(message.get("tool_calls", [])):
            call["index"] = number
        return message
