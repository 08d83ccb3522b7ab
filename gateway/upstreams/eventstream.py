"""Splits Amazon's binary event stream (``application/vnd.amazon.eventstream``) into events of JSON.

A frame is its length, its headers' length and a checksum of both, then headers, payload, and a checksum of all. An event
becomes ``{"TYPE": PAYLOAD}``, an exception ``{"exception": {"type": TYPE, "detail": PAYLOAD}}``.
"""

from __future__ import annotations

import struct
import zlib

import msgspec

from gateway.upstreams.base import BadAnswer
from gateway.upstreams.faults import UpstreamTooLarge
from gateway.upstreams.sse import MAX_EVENT_BYTES

_PRELUDE = struct.Struct(">III")
_CHECKSUM_BYTES = 4
_LEAST_FRAME = _PRELUDE.size + _CHECKSUM_BYTES
# How many bytes a header's value has, by its type; strings and bytes (7, 6) tell it themselves.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_STRING, _BYTES = 7, 6
_ENCODER = msgspec.json.Encoder()


class FrameSplitter:
    """Collects whole frames from pieces that may be cut anywhere; see ``Splitter``."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Return each event that ends in ``piece``; raises ``UpstreamTooLarge``, and ``BadAnswer`` for a damaged frame."""
        self._rest += piece
        events: list[bytes] = []
        while len(self._rest) >= _PRELUDE.size:
            size, head_size, checksum = _PRELUDE.unpack_from(self._rest)
            if zlib.crc32(self._rest[: _PRELUDE.size - _CHECKSUM_BYTES]) != checksum:
                raise BadAnswer("a damaged frame")
            if size > MAX_EVENT_BYTES:
                raise UpstreamTooLarge
            if size < _LEAST_FRAME + head_size:
                raise BadAnswer("a frame of an impossible size")
            if len(self._rest) < size:
                break
            frame = bytes(self._rest[:size])
            del self._rest[:size]
            if zlib.crc32(frame[:-_CHECKSUM_BYTES]) != int.from_bytes(frame[-_CHECKSUM_BYTES:], "big"):
                raise BadAnswer("a damaged frame")
            head_end = _PRELUDE.size + head_size
            events.append(_event(frame[_PRELUDE.size : head_end], frame[head_end:-_CHECKSUM_BYTES]))
        return events

    def finish(self) -> list[bytes]:
        """Return nothing: a frame is whole or it is not."""
        return []


def _event(head: bytes, payload: bytes) -> bytes:
    headers = _headers(head)
    kind = headers.get(":message-type", "event")
    detail = payload or b"{}"
    if kind == "event":
        return b"{%b:%b}" % (_ENCODER.encode(headers.get(":event-type", "")), detail)
    name = headers.get(":exception-type") or headers.get(":error-code") or kind
    if kind == "error":
        # It says everything in its headers.
        detail = _ENCODER.encode(headers.get(":error-message", ""))
    return b'{"exception":{"type":%b,"detail":%b}}' % (_ENCODER.encode(name), detail)


def _headers(head: bytes) -> dict[str, str]:
    """Return the headers that are strings."""
    headers: dict[str, str] = {}
    place = 0
    try:
        while place < len(head):
            end = place + 1 + head[place]
            name, kind = head[place + 1 : end].decode(), head[end]
            place = end + 1
            if kind in {_STRING, _BYTES}:
                size = int.from_bytes(head[place : place + 2], "big")
                place += 2
            else:
                size = _SIZES[kind]
            if kind == _STRING:
                headers[name] = head[place : place + size].decode()
            place += size
    except (IndexError, KeyError, UnicodeDecodeError) as exc:
        raise BadAnswer("a frame with headers that cannot be read") from exc
    if place != len(head):
        raise BadAnswer("a frame with headers that cannot be read")
    return headers
