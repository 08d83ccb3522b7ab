"""What the stages need of a way from a client's format to an upstream's protocol and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from catalog.pricing import Usage
from catalog.snapshot import Channel
from gateway.asked import Attempt
from gateway.errors import GatewayError
from gateway.keepsakes import Keeper, Keepsake
from gateway.metering import TextMeter
from gateway.upstreams.base import Prepared, Splitter


class Answer(msgspec.Struct, frozen=True):
    """A whole answer in the caller's format; ``usage`` is ``None`` when the upstream reported none."""

    body: bytes
    usage: Usage | None
    text_tokens: int
    has_output: bool
    finish_reason: str
    upstream_id: str
    content_type: str = "application/json"
    # What was thought before tools were called, if it will be wanted back.
    keepsake: Keepsake = []
    # Writes the body anew with the usage that is billed, where that is not what the upstream reported.
    again: Callable[[Usage], bytes] | None = None

    def telling(self, billed: Usage | None) -> bytes:
        """Return the body with what is billed."""
        if self.again is None or billed is None or billed is self.usage:
            return self.body
        return self.again(billed)


class StreamTranslator(Protocol):
    """Turns one upstream stream into the caller's, and notes what billing needs on the way."""

    usage: Usage | None
    finish_reason: str
    upstream_id: str
    # The upstream said that it has ended.
    is_done: bool

    @property
    def has_output(self) -> bool:
        """Tell whether content, a tool call or reasoning was seen: the stream now belongs to this channel."""

    @property
    def output_tokens(self) -> int:
        """Return the output so far, estimated from the text until the upstream reports it."""

    def feed(self, event: bytes) -> bytes:
        """Translate the data of one event; raises ``BadAnswer`` for an error or nonsense in its place."""

    def closing(self, usage: Usage) -> bytes:
        """Return what ends a stream that the upstream has finished."""

    def cut(self, usage: Usage) -> bytes:
        """Return what ends a stream that must stop here: finish reason ``length``."""

    def failure(self, error: GatewayError) -> bytes:
        """Return the error event of a stream that broke; never a clean end."""


class MeteredStream:
    """What every stream that is counted by its text tells billing; see ``StreamTranslator``."""

    usage: Usage | None = None
    finish_reason = ""
    upstream_id = ""
    is_done = False

    def __init__(self) -> None:
        self._meter = TextMeter()

    @property
    def has_output(self) -> bool:
        """Tell whether content, a tool call or reasoning was seen."""
        return self._meter.has_output

    @property
    def output_tokens(self) -> int:
        """Return the output so far, estimated."""
        return self._meter.tokens


class RememberingStream:
    """A stream of a passage that remembers; ``keeper`` is ``None`` where nothing will be wanted back."""

    keeper: Keeper | None = None


class Passage(Protocol):
    """One way there and back."""

    def prepare(self, attempt: Attempt) -> Prepared:
        """Write the upstream's request; raises ``CannotExpress``."""

    def answer(self, body: bytes, attempt: Attempt) -> Answer:
        """Translate a whole answer; raises ``BadAnswer``."""

    def stream(self, attempt: Attempt) -> StreamTranslator:
        """Start to translate a stream."""

    def splitter(self) -> Splitter:
        """Start to cut a stream into events."""

    def blames_our_account(self, body: bytes) -> bool:
        """Tell whether a refusal is about our own account, which the caller must not hear of."""

    def complaint(self, body: bytes, channel: Channel) -> tuple[str, str | None]:
        """Read the message and ``param`` of a 400, free of anything of ours."""
