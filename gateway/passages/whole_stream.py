"""A whole answer where a stream was asked for, told as a stream: some servers know none, and some turn theirs off."""

from __future__ import annotations

from gateway.asked import Attempt
from gateway.assembly import taken_apart
from gateway.events import Event
from gateway.form import Form
from gateway.passages.base import StreamTranslator
from gateway.upstreams.base import Adapter
from gateway.upstreams.faults import UpstreamTooLarge

MAX_ANSWER_BYTES = 64 * 1024 * 1024


class TellsWhole:
    """A passage that can tell a whole answer as a stream."""

    def whole_stream(self, attempt: Attempt) -> StreamTranslator:
        """Start to translate an answer whose one event is all of it."""
        raise NotImplementedError


class WholeSplitter:
    """Takes all bytes of an answer for one event."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """See ``Splitter.feed``."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > MAX_ANSWER_BYTES:
            raise UpstreamTooLarge
        return []

    def finish(self) -> list[bytes]:
        """See ``Splitter.finish``."""
        pieces, self._pieces = self._pieces, []
        return [b"".join(pieces)] if pieces else []


class WholeReader:
    """Reads a whole answer as the events that it would have come in."""

    def __init__(self, adapter: Adapter, form: Form) -> None:
        self._adapter = adapter
        self._form = form

    def feed(self, event: bytes) -> list[Event]:
        """See ``Reader.feed``."""
        return taken_apart(self._adapter.answer(event, self._form))
