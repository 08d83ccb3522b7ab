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
# MP3 is told frame by frame: which rates there are in kbit/s and samples a second, by the version of MPEG.
_MP3_LOUD = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_QUIET = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MP3_VERSIONS = (
    (3, 1_152, _MP3_LOUD, (44_100, 48_000, 32_000)),
    (2, 576, _MP3_QUIET, (22_050, 24_000, 16_000)),
    (0, 576, _MP3_QUIET, (11_025, 12_000, 8_000)),
)
# Of a header all bits but those of its checksum and private use.
_MP3_MASK = 0xFFFEFE
# About an hour; what is longer is taken to be as slow as it may.
_MOST_MP3_FRAMES = 150_000
# What stands before the sound of a WAV file, in base64; some programs fill a page.
_HEADER = 16_384


def seconds_of(recording: bytes) -> int:
    """Return how long a recording lasts at most, in begun seconds."""
    if recording[:4] == b"fLaC":
        return _flac_seconds(recording)
    if recording[:3] == b"ID3" or int.from_bytes(recording[:3]) & _MP3_MASK in _MP3_FRAMES:
        return _mp3_seconds(recording)
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


def _mp3_frames() -> dict[int, tuple[int, int]]:
    """Return the bytes and the microseconds of each kind of MP3 frame, by its header."""
    frames: dict[int, tuple[int, int]] = {}
    for version, samples, rates, frequencies in _MP3_VERSIONS:
        for rate_index, rate in enumerate(rates, 1):
            for index, frequency in enumerate(frequencies):
                for padding in (0, 1):
                    header = 0xFFE200 | version << 11 | rate_index << 4 | index << 2 | padding << 1
                    size = samples // 8 * rate * 1_000 // frequency + padding
                    frames[header] = size, -(-samples * 1_000_000 // frequency)
    return frames


_MP3_FRAMES = _mp3_frames()


def _mp3_seconds(recording: bytes) -> int:
    """Add up the frames as far as one follows the other; what comes after is taken to be as slow as it may."""
    place, heard, known = _id3_bytes(recording), 0, _MP3_FRAMES
    for _ in range(_MOST_MP3_FRAMES):
        frame = known.get(int.from_bytes(recording[place : place + 3]) & _MP3_MASK)
        if frame is None:
            break
        place += frame[0]
        heard += frame[1]
    return heard // 1_000_000 + max(0, len(recording) - place) // _SLOWEST_BYTES_PER_SECOND + 1


def _id3_bytes(recording: bytes) -> int:
    """Return how long the tag before the sound is: its size is written in four times seven bits."""
    if recording[:3] != b"ID3":
        return 0
    size = 10
    for byte, shift in zip(recording[6:10], (21, 14, 7, 0), strict=False):
        size += (byte & 0x7F) << shift
    return size if size < len(recording) else 0
