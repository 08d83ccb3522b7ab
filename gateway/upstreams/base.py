"""What every adapter speaks: pure translation both ways, no input or output of its own.

An adapter turns a parsed request into one protocol's own, a whole answer back into OpenAI's, and a stream event by
event. A new protocol is a new module beside ``openai.py`` and a line in ``registry.py``.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from catalog.pricing import Usage
from catalog.snapshot import Channel, Route
from gateway.schemas import ChatRequest


class BadAnswer(Exception):
    """The upstream answered 200 with something that is no answer; another channel may do better."""


class Prepared(msgspec.Struct, frozen=True):
    """What is sent upstream: the target below the channel's base URL, headers, body."""

    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """A whole answer in the caller's format; ``usage`` is ``None`` when the upstream reported none."""

    body: bytes
    usage: Usage | None
    text_tokens: int
    has_output: bool
    finish_reason: str
    upstream_id: str


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

    def failure(self, detail: dict[str, str | None]) -> bytes:
        """Return the error event of a stream that broke; never a clean end."""


class Adapter(Protocol):
    """One upstream protocol."""

    def prepare(self, request: ChatRequest, route: Route, *, output_bound: int | None) -> Prepared:
        """Write the upstream's request; ``output_bound`` is the most output tokens it may produce, if bounded."""

    def answer(self, body: bytes, *, model_id: str) -> Answer:
        """Read a whole answer; raises ``BadAnswer``."""

    def stream(self, *, model_id: str, wants_usage: bool) -> StreamTranslator:
        """Start to translate a stream."""

    def blames_our_account(self, body: bytes) -> bool:
        """Tell whether a refusal is about our own account, which the caller must not hear of."""

    def complaint(self, body: bytes, channel: Channel) -> tuple[str, str | None]:
        """Read the message and ``param`` of a 400, free of anything of ours."""
