"""Tiny pictures and recordings, made in code."""

from __future__ import annotations

import array
import io
import math
import struct
import wave
import zlib

_RATE = 8000
_SECONDS_PER_CHARACTER = 0.06
# MPEG-1 layer III, 128 kbit/s, 44.1 kHz, one channel: a frame of silence and how long it lasts.
_MP3_FRAME = bytes.fromhex("fffb90c4") + bytes(413)
_MP3_FRAME_SECONDS = 1152 / 44_100


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """Return a picture of one colour."""
    row = b"\x00" + bytes(colour) * width
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(row * height, 9)),
            _chunk(b"IEND", b""),
        ]
    )


def speech(text: str, format_: str) -> bytes:
    """Return a recording about as long as it takes to read ``text``: ``wav``, ``pcm`` or ``mp3``."""
    seconds = max(len(text) * _SECONDS_PER_CHARACTER, 0.1)
    if format_ == "mp3":
        return _MP3_FRAME * math.ceil(seconds / _MP3_FRAME_SECONDS)
    tone = array.array("h", (int(4000 * math.sin(place / 4)) for place in range(int(seconds * _RATE))))
    if format_ == "pcm":
        return tone.tobytes()
    packed = io.BytesIO()
    with wave.open(packed, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(_RATE)
        recording.writeframes(tone.tobytes())
    return packed.getvalue()


def seconds_of(recording: bytes) -> float:
    """Return how long a recording is; what is no WAV counts as 128 kbit/s."""
    try:
        with wave.open(io.BytesIO(recording)) as opened:
            return float(opened.getnframes() / opened.getframerate())
    except (wave.Error, EOFError):
        return len(recording) / 16_000


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
