"""What every client's format can do: pure functions, no input or output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from catalog.pricing import Usage
from gateway.asked import Asked, Attempt
from gateway.errors import GatewayError
from gateway.events import Event, Result


class Writer(Protocol):
    """Writes one stream in a client's format."""

    def write(self, events: Sequence[Event]) -> bytes:
        """Write what happened; nothing may be sent for events that say nothing to this format."""

    def closing(self, usage: Usage) -> bytes:
        """End a stream that the upstream has finished."""

    def cut(self, usage: Usage) -> bytes:
        """End a stream that must stop here: the answer is incomplete because of its length."""

    def failure(self, error: GatewayError) -> bytes:
        """Tell that the stream broke; never a clean end."""


class Format(Protocol):
    """One client format; ``name`` is how the table of passages calls it."""

    name: str
    # What a body must be declared as.
    content_type: str
    # The kind of model that can serve it; see ``catalog.snapshot.Model.kind``.
    kind: str

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        """Read a body; raises ``InvalidRequest`` that names the parameter."""

    def param(self, field: str) -> str:
        """Return this format's own name of a field of the internal form."""

    def refusal(self, error: GatewayError, request_id: str) -> tuple[int, bytes]:
        """Return status and body of an error in this format."""

    def headers(self, request_id: str) -> list[tuple[str, str]]:
        """Return the headers by which this format's SDKs know a request."""


@runtime_checkable
class TextFormat(Format, Protocol):
    """A format that can be written from the internal form of an answer, whatever the upstream speaks."""

    def render(self, result: Result, usage: Usage, attempt: Attempt) -> bytes:
        """Write a whole answer; ``usage`` is what is billed."""

    def writer(self, attempt: Attempt) -> Writer:
        """Start to write a stream."""
