"""Amazon's binary event stream: each event a frame of headers and JSON with two checksums."""

from __future__ import annotations

import struct
import zlib

import msgspec

from fastanchor.local.sandbox.dialect import Event, Frames

_STRING = 7
# The lengths of all and of the headers, the checksum of both, and the checksum of all.
_AROUND_BYTES = 16


class FrameStream(Frames):
    """Writes events as Amazon's services do; a name that ends in ``Exception`` is one."""

    content_type = "application/vnd.amazon.eventstream"

    def event(self, event: Event) -> bytes:
        """Return one frame."""
        is_exception = event.name.endswith("Exception")
        headers = {
            ":exception-type" if is_exception else ":event-type": event.name,
            ":content-type": "application/json",
            ":message-type": "exception" if is_exception else "event",
        }
        return frame(headers, msgspec.json.encode(event.payload))

    def comment(self, _text: str) -> bytes:
        """Return nothing: the protocol has no sign of life."""
        return b""


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """Return a frame whose headers are strings."""
    head = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    sizes = struct.pack(">II", _AROUND_BYTES + len(head) + len(payload), len(head))
    told = b"".join((sizes, _checksum(sizes), head, payload))
    return told + _checksum(told)


def _header(name: bytes, value: bytes) -> bytes:
    return b"".join((bytes((len(name),)), name, bytes((_STRING,)), struct.pack(">H", len(value)), value))


def _checksum(told: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(told))
