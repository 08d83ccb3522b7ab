"""What every adapter speaks: pure translation between the internal form and one upstream's protocol.

An adapter does no input or output of its own, so each can be read and tested alone: a form becomes a request, a whole
answer a ``Result``, and a reader turns a stream's events into ours. A new protocol is a new module here and a line in
``passages/table.py``.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from catalog.snapshot import Channel
from gateway.asked import Attempt
from gateway.events import Event, Result
from gateway.form import Form

# What reading JSON raises where an upstream sent something else, or nested it beyond all measure.
NONSENSE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class BadAnswer(Exception):
    """The upstream answered 200 with something that is no answer; another channel may do better."""


class Refused(BadAnswer):
    """The upstream answered 200 and then found the request itself wrong; ``body`` says why, as a refusal would."""

    def __init__(self, body: bytes) -> None:
        super().__init__("a refusal inside a 200")
        self.body = body


class CannotExpress(Exception):
    """What is asked cannot be said in a protocol; ``field`` is the form's own name of it, ``reason`` a whole sentence.

    Another route may be able to; if none is, the caller is told with the parameter's name in their format.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


class Prepared(msgspec.Struct, frozen=True):
    """What is sent upstream: the target below the channel's base URL, headers, body.

    ``dropped`` names (as in the form) what was left out because the protocol or model knows nothing like it and the
    answer means the same without it; the caller is told in a header.
    """

    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    dropped: tuple[str, ...] = ()


class Splitter(Protocol):
    """Cuts an upstream's bytes into events."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of each event that ends in ``piece``; raises ``UpstreamTooLarge``."""

    def finish(self) -> list[bytes]:
        """Return the last event of a stream that ended without its mark."""


class Reader(Protocol):
    """Turns one upstream stream into events of the internal form."""

    def feed(self, event: bytes) -> list[Event]:
        """Read the data of one event; raises ``BadAnswer`` for an error or nonsense in its place."""


class Adapter(Protocol):
    """One upstream protocol."""

    def prepare(self, form: Form, attempt: Attempt) -> Prepared:
        """Write the upstream's request; raises ``CannotExpress``."""

    def answer(self, body: bytes, form: Form) -> Result:
        """Read a whole answer; raises ``BadAnswer``."""

    def reader(self, form: Form) -> Reader:
        """Start to read a stream."""

    def splitter(self) -> Splitter:
        """Start to cut a stream into events."""

    def blames_our_account(self, body: bytes) -> bool:
        """Tell whether a refusal is about our own account, which the caller must not hear of."""

    def complaint(self, body: bytes, channel: Channel) -> tuple[str, str | None]:
        """Read the message and ``param`` of a 400, free of anything of ours."""
