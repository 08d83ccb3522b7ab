"""What a client asked, whatever its format: the little that the stages need, and the rest on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec

from catalog.pricing import Usage
from catalog.snapshot import Model, Price, Rates, Route
from gateway.form import Form
from gateway.wishes import Wishes


class Prompt(msgspec.Struct, frozen=True):
    """What a prompt holds, for the estimate and the model's capabilities."""

    text_bytes: int
    images: int
    audios: int
    files: int
    # Length of the recordings in base64; not part of ``text_bytes``.
    audio_bytes: int = 0
    # Length of the documents in base64 whose bytes are pages; part of ``text_bytes``.
    document_bytes: int = 0
    has_tools: bool = False
    # The provider is asked to search the web.
    has_search: bool = False
    # What the provider reads and no bytes of the prompt tell: pages that it fetches, answers of servers, packed silence.
    fetches: int = 0
    # Text that the caller foretells of the answer; what does not come true is billed as output.
    predicted_bytes: int = 0

    @property
    def is_plain(self) -> bool:
        """Tell whether any model can read it: text alone, and nothing to call."""
        return not (self.images or self.audios or self.files or self.has_tools or self.has_search)


NO_UNITS = Usage(0, 0, 0, 0, 0)
# The most searches of one answer where the caller names no limit: so many are held for, and no more are ordered.
MOST_SEARCHES = 10


class Asked(Protocol):
    """A body that was read in one client's format."""

    @property
    def model(self) -> str:
        """Return the model as the caller named it."""

    @property
    def is_stream(self) -> bool:
        """Tell whether the caller asked for a stream."""

    @property
    def choices(self) -> int:
        """Return how many answers are asked for."""

    @property
    def explicit_max(self) -> int | None:
        """Return the most output tokens that the caller asked for, if any was named."""

    @property
    def prompt(self) -> Prompt:
        """Return what the prompt holds."""

    @property
    def most_units(self) -> Usage:
        """Return the most that may be billed beside input and output tokens: searches, images, seconds, characters."""

    @property
    def wishes(self) -> Wishes | None:
        """Return what the caller wishes of routing, if anything."""

    def form(self) -> Form:
        """Return the whole request in the internal form; raises ``InvalidRequest``. Built once, when first needed."""


@runtime_checkable
class Session(Protocol):
    """A body that may say to which session it belongs."""

    @property
    def session(self) -> str:
        """Return what the session's requests have in common, such as the key of their prompt cache; or nothing."""


class Attempt(msgspec.Struct, frozen=True):
    """One upstream call made for a request."""

    asked: Asked
    model: Model
    route: Route
    request_id: str
    # Lower-case names of the caller's headers that a protocol may pass on.
    headers: Mapping[str, str]
    # What is in force for the request, whatever the model will cost later.
    price: Price
    # The most output tokens (of one choice) that the upstream may produce, where the gateway bounds them.
    output_bound: int | None = None
    # The form with earlier thoughts that the caller did not send back; see ``gateway.keepsakes``.
    remembered: Form | None = None

    @property
    def rates(self) -> Rates:
        """Return the rates that tell by which unit the request is billed."""
        return self.price.tiers[0].rates

    @property
    def form(self) -> Form:
        """Return what is asked, with all that is known of it."""
        return self.asked.form() if self.remembered is None else self.remembered

    @property
    def max_output(self) -> int | None:
        """Return the bound on one choice's output: the gateway's, or the caller's own."""
        return self.asked.explicit_max if self.output_bound is None else self.output_bound
