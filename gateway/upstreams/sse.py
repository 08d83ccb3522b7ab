r"""Splits a stream of server-sent events, by bytes.

Only ``\n``, ``\r\n`` and ``\r`` end a line: line iterators of HTTP clients also split on U+2028 and its like, which
occur inside JSON. What is kept is capped, so an endless line cannot fill the memory.
"""

from __future__ import annotations

from gateway.upstreams.faults import UpstreamTooLarge

# A document or picture in base64 comes as one event, and so does a whole response at the end of its stream.
MAX_EVENT_BYTES = 16 * 1024 * 1024
# May stand at the head of a stream, and means nothing.
_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Collects the ``data`` of whole events from pieces that may be cut anywhere."""

    __slots__ = ("_data", "_max_bytes", "_rest", "_rest_size", "_saw_cr", "_size")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_event_bytes
        # Pieces of a line without an end: joined only once, for a line of megabytes comes in hundreds of them.
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._data: list[bytes] = []
        self._saw_cr = False
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of each event that ends in ``piece``; raises ``UpstreamTooLarge``."""
        if b"\r" in piece or self._saw_cr:
            piece = self._plain_newlines(piece)
        lines = piece.split(b"\n")
        if len(lines) > 1 and self._rest:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest, self._rest_size = [], 0
        if rest := lines.pop():
            self._keep(rest)
        events: list[bytes] = []
        for line in lines:
            if line:
                self._take(line)
            elif self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data, self._size = [], 0
        return events

    def _keep(self, rest: bytes) -> None:
        self._rest.append(rest)
        self._rest_size += len(rest)
        if self._rest_size > self._max_bytes:
            raise UpstreamTooLarge

    def _take(self, line: bytes) -> None:
        # Comments, "event", "id" and "retry" carry nothing that chat completions need.
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            # The field's name counts, too: empty lines without end are as many bytes as any.
            self._size += len(line)
            if self._size > self._max_bytes:
                raise UpstreamTooLarge
        elif line.startswith(_BOM):
            self._take(line.removeprefix(_BOM))

    def _plain_newlines(self, piece: bytes) -> bytes:
        # A "\r" at the end may be the first half of "\r\n": wait for the next piece before counting it twice.
        if not piece:
            return piece
        if self._saw_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._saw_cr = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def finish(self) -> list[bytes]:
        """Return the last event of a stream that ended without a blank line."""
        rest, self._rest, self._rest_size = b"".join(self._rest), [], 0
        if rest:
            self._take(rest)
        data, self._data = self._data, []
        return [b"\n".join(data)] if data else []
