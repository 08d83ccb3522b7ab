"""Frames of Amazon's event stream, as a service writes them."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any


def header(name: str, value: bytes, kind: int = 7) -> bytes:
    """Return one header; strings and bytes tell their size."""
    size = len(value).to_bytes(2, "big") if kind in {6, 7} else b""
    return bytes([len(name)]) + name.encode() + bytes([kind]) + size + value


def frame(headers: bytes, payload: bytes) -> bytes:
    """Return a whole frame with both checksums."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
    return head + zlib.crc32(head).to_bytes(4, "big")


def event(kind: str, **payload: Any) -> bytes:
    """Return an event of Converse."""
    headers = header(":event-type", kind.encode()) + header(":content-type", b"application/json")
    return frame(headers + header(":message-type", b"event"), json.dumps(payload).encode())


def exception(kind: str, **payload: Any) -> bytes:
    """Return an exception inside a stream."""
    headers = header(":exception-type", kind.encode()) + header(":message-type", b"exception")
    return frame(headers, json.dumps(payload).encode())
