"""What is asked on the paths that are passed on as they are.

Embeddings, moderations, pictures, speech and transcriptions have one shape each, OpenAI's; only the money differs.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from catalog.pricing import Usage
from gateway.asked import NO_UNITS, Prompt
from gateway.errors import InvalidRequest
from gateway.form import Form
from gateway.wishes import Wishes

B = TypeVar("B", bound=msgspec.Struct)


class PassedOn(Generic[B]):
    """A request that only an upstream of the same shape can serve; see ``Asked``."""

    is_stream = False
    wishes: Wishes | None = None

    def __init__(
        self,
        body: B,
        model: str,
        prompt: Prompt,
        *,
        explicit_max: int | None = 0,
        choices: int = 1,
        most_units: Usage = NO_UNITS,
    ) -> None:
        self.body = body
        self.model = model
        self.prompt = prompt
        self.explicit_max = explicit_max
        self.choices = choices
        self.most_units = most_units

    def form(self) -> Form:
        """Raise ``InvalidRequest``: there is no other way to say it."""
        raise InvalidRequest("No channel to this model serves this path.", param="model")
