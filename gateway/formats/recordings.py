"""How long a recording lasts at most, judged by what a decoder cannot but hear.

What a header says of a length is not trusted: the upstream hears, and bills, all that is there.
"""

from __future__ import annotations

import base64
import contextlib
import wave
from io import BytesIO

# MP3 and the codecs of telephones do not go below 8 kbit/s.
_SLOWEST_BYTES_PER_SECOND = 1_000
# Beyond any sound that is heard: 192 kHz, 32 bits, eight channels.
_FASTEST_BYTES_PER_SECOND = 6_144_000
# Silence is packed without limit in FLAC: there each frame counts as the longest that the file allows.
_FLAC_FRAMES = (b"\xff\xf8", b"\xff\xf9")
_FLAC_HEADER_BYTES = 42
# What stands before the sound of a WAV file, in base64; some programs fill a page.
_HEADER = 16_384


def seconds_of(recording: bytes) -> int:
    """Return how long a recording lasts at most, in begun seconds."""
    if recording[:4] == b"fLaC":
        return _flac_seconds(recording)
    rate = _wav_rate(recording) if recording[:4] == b"RIFF" else 0
    return len(recording) // (rate or _SLOWEST_BYTES_PER_SECOND) + 1


def is_dense(data: str, kind: str) -> bool:
    """Tell whether few bytes of a recording in base64 may last long, so that its size says nothing of its length."""
    if kind == "mp3":
        return False
    try:
        rate = _wav_rate(base64.b64decode(data[:_HEADER])) if kind == "wav" else 0
    except ValueError:
        rate = 0
    return rate < _SLOWEST_BYTES_PER_SECOND


def _wav_rate(recording: bytes) -> int:
    """Return the bytes of a second by a WAV file's header, 0 where it does not tell or nobody hears at such a rate."""
    with contextlib.suppress(wave.Error, EOFError), wave.open(BytesIO(recording)) as sound:
        declared = sound.getframerate() * sound.getsampwidth() * sound.getnchannels()
        return declared if declared <= _FASTEST_BYTES_PER_SECOND else 0
    return 0


def _flac_seconds(recording: bytes) -> int:
    if len(recording) < _FLAC_HEADER_BYTES:
        return 1
    longest = int.from_bytes(recording[10:12])
    rate = int.from_bytes(recording[18:21]) >> 4
    frames = sum(recording.count(mark, _FLAC_HEADER_BYTES) for mark in _FLAC_FRAMES)
    return frames * longest // max(1, rate) + 1
