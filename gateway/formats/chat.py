"""Chat completions as a client's format."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from catalog.pricing import Usage
from gateway.asked import MOST_SEARCHES, NO_UNITS, Attempt, Prompt
from gateway.events import Result
from gateway.form import Form
from gateway.formats.chat_body import ChatRequest, parse_chat
from gateway.formats.chat_form import form_of
from gateway.formats.chat_writer import ChatWriter, render
from gateway.formats.manners import OpenAiManners
from gateway.wishes import take

# Where the form's names differ from this format's own.
_PARAMS = {
    "max_output": "max_completion_tokens",
    "choices": "n",
    "reasoning": "reasoning_effort",
    "web_search": "web_search_options",
}

# OpenAI's own models search once here; others search as often as they like, within what they are told.
_SEARCHES = msgspec.structs.replace(NO_UNITS, searches=MOST_SEARCHES)


class ChatAsked:
    """A chat completion that was asked; see ``Asked``."""

    __slots__ = (
        "_form",
        "body",
        "choices",
        "explicit_max",
        "is_stream",
        "model",
        "most_units",
        "prompt",
        "wishes",
    )

    def __init__(self, body: ChatRequest, prompt: Prompt) -> None:
        self.wishes = take(body)
        self.body = body
        self.prompt = prompt
        self.model = body.model
        self.is_stream = bool(body.stream)
        self.choices = body.n or 1
        self.explicit_max = body.explicit_max
        self.most_units: Usage = _SEARCHES if prompt.has_search else NO_UNITS
        self._form: Form | None = None

    @property
    def wants_usage(self) -> bool:
        """Tell whether a stream ends with a chunk that reports the usage."""
        options = self.body.stream_options
        return bool(options and options.include_usage)

    @property
    def session(self) -> str:
        """See ``Session``."""
        return self.body.prompt_cache_key or ""

    def form(self) -> Form:
        """See ``Asked``."""
        if self._form is None:
            self._form = form_of(self.body)
        return self._form


class Chat(OpenAiManners):
    """The format of ``/v1/chat/completions``."""

    name = "chat"
    kind = "chat"
    params = _PARAMS

    def parse(self, body: bytes, headers: Mapping[str, str]) -> ChatAsked:
        """See ``Format.parse``."""
        return ChatAsked(*parse_chat(body))

    def render(self, result: Result, usage: Usage, attempt: Attempt) -> bytes:
        """See ``Format.render``."""
        assert isinstance(attempt.asked, ChatAsked)
        body = attempt.asked.body
        return render(result, usage, attempt, hides_thoughts=body.hides_thoughts, is_legacy=body.is_legacy)

    def writer(self, attempt: Attempt) -> ChatWriter:
        """See ``Format.writer``."""
        assert isinstance(attempt.asked, ChatAsked)
        body = attempt.asked.body
        return ChatWriter(
            attempt,
            wants_usage=attempt.asked.wants_usage,
            hides_thoughts=body.hides_thoughts,
            is_legacy=body.is_legacy,
        )
