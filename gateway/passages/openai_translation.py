"""The passage to a server that speaks both of OpenAI's protocols: Responses, and chat where Responses lacks the word."""

from __future__ import annotations

from gateway.asked import Attempt
from gateway.form import WebSearch
from gateway.formats.base import TextFormat
from gateway.keepsakes import Need
from gateway.passages.base import Answer
from gateway.passages.translation import TranslatedStream, Translation
from gateway.upstreams.base import Adapter, Prepared
from gateway.upstreams.openai_responses_request import LEAST_OUTPUT

# What OpenAI's chat takes, and its Responses refuses or knows nothing like; by the form's names.
_CHAT_ALONE = ("stop", "frequency_penalty", "presence_penalty", "seed", "logit_bias")


class OpenAiTranslation(Translation):
    """Goes by ``responses``, which keeps thoughts, unless only ``chat`` can say what is asked."""

    def __init__(self, format_: TextFormat, *, responses: Adapter, chat: Adapter) -> None:
        super().__init__(format_, responses)
        self._chat = Translation(format_, chat)

    def need(self, attempt: Attempt) -> Need:
        """See ``Remembering.need``."""
        return self._chat.need(attempt) if _needs_chat(attempt) else super().need(attempt)

    def prepare(self, attempt: Attempt) -> Prepared:
        """See ``Passage.prepare``."""
        return self._chat.prepare(attempt) if _needs_chat(attempt) else super().prepare(attempt)

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """See ``Passage.answer``."""
        return self._chat.answer(body, attempt) if _needs_chat(attempt) else super().answer(body, attempt)

    def stream(self, attempt: Attempt) -> TranslatedStream:
        """See ``Passage.stream``."""
        return self._chat.stream(attempt) if _needs_chat(attempt) else super().stream(attempt)


def _needs_chat(attempt: Attempt) -> bool:
    form, model = attempt.form, attempt.model
    if "responses_only" in model.traits or any(isinstance(tool, WebSearch) for tool in form.tools):
        return False
    # Who does not think can be brief; who does needs room that chat would refuse to be without.
    is_brief = "reasoning" not in model.capabilities and (form.max_output or LEAST_OUTPUT) < LEAST_OUTPUT
    return (
        is_brief or form.choices > 1 or any(getattr(form, name) not in (None, [], {}) for name in _CHAT_ALONE)
    )
