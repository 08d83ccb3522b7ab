"""The kinds of exports: each has a writer that yields its file in pieces, and can begin after any of them.

An app above this one adds its own kind with ``register`` when it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from billing.models import Export


class UnknownKind(Exception):
    """There is no writer of this name, or it does not know the format."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A few thousand rows, as bytes of the file; ``position`` (at most 200 letters) is where to go on after them."""

    content: bytes
    rows: int
    position: str


class Writer(Protocol):
    """Writes exports of one kind."""

    formats: tuple[str, ...]
    """What it can write; each is the ending of a file's name, too."""

    def title(self, export: Export) -> str:
        """Say in a few words what is in an export."""

    def stem(self, export: Export) -> str:
        """Return the name of its file, without the ending."""

    def rows_about(self, export: Export) -> int | None:
        """Return how many rows it will have, or nothing where that takes too long to know."""

    def pieces(self, export: Export, position: str) -> Iterator[Piece]:
        """Yield the file from a position on, from its beginning where that is empty.

        Between two pieces no transaction may be open: progress is saved then, and the work may stop there for good.
        Written twice from the same position, the same bytes must come out.
        """


_writers: dict[str, Writer] = {}


def register(kind: str, writer: Writer) -> None:
    """Let exports of a kind be written by ``writer``."""
    _writers[kind] = writer


def of(kind: str) -> Writer:
    """Return the writer of a kind; raises ``UnknownKind``."""
    try:
        return _writers[kind]
    except KeyError:
        raise UnknownKind(kind) from None
