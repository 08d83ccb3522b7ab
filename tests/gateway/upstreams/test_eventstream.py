"""Amazon's binary event stream, whole, cut anywhere, and damaged."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
from hypothesis import given, strategies as st

from gateway.upstreams.base import BadAnswer
from gateway.upstreams.eventstream import FrameSplitter
from gateway.upstreams.faults import UpstreamTooLarge
from gateway.upstreams.sse import MAX_EVENT_BYTES
from tests.gateway.upstreams.frames import event, exception, frame, header

STREAM = (
    event("messageStart", role="assistant")
    + event("contentBlockDelta", delta={"text": "é"})
    + exception("x", a=1)
)
EVENTS = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"delta": {"text": "é"}}},
    {"exception": {"type": "x", "detail": {"a": 1}}},
]


def read(*pieces: bytes) -> list[object]:
    splitter = FrameSplitter()
    events = [each for piece in pieces for each in splitter.feed(piece)]
    assert splitter.finish() == []
    return [json.loads(each) for each in events]


def test_events_and_exceptions_are_told_apart() -> None:
    assert read(STREAM) == EVENTS


def test_a_stream_may_be_cut_at_every_byte() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS
    for at in range(len(STREAM)):
        assert read(STREAM[:at], STREAM[at:]) == EVENTS


def test_every_damaged_byte_is_noticed() -> None:
    whole = event("messageStop", stopReason="end_turn")
    for at in range(len(whole)):
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(BadAnswer):
            read(damaged)


def test_an_error_tells_what_it_is_in_its_headers() -> None:
    headers = header(":error-code", b"InternalError") + header(":error-message", b'no "luck"')

    assert read(frame(headers + header(":message-type", b"error"), b"")) == [
        {"exception": {"type": "InternalError", "detail": 'no "luck"'}}
    ]


def test_headers_of_every_type_are_skipped_by_their_size() -> None:
    others = b"".join(
        header("h", b"\x00" * size, kind)
        for kind, size in ((0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16))
    )

    assert read(frame(others + header("b", b"raw", 6) + header(":event-type", b"e"), b"{}")) == [{"e": {}}]


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05ab",
        b"\x01h",
        header("h", b"", 12),
        b"\x01h\x07\x00\xffabc",
        header("h", b"\xff"),
        b"\x01\xff\x00",
    ],
)
def test_headers_that_cannot_be_read_are_no_answer(headers: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(frame(headers, b"{}"))


def test_what_a_frame_claims_is_capped_before_it_is_kept() -> None:
    def prelude(size: int, head: int) -> bytes:
        raw = struct.pack(">II", size, head)
        return raw + zlib.crc32(raw).to_bytes(4, "big")

    with pytest.raises(UpstreamTooLarge):
        read(prelude(MAX_EVENT_BYTES + 1, 0))
    with pytest.raises(BadAnswer):
        read(prelude(15, 0))
    with pytest.raises(BadAnswer):
        read(prelude(100, 90))


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_no_bytes_make_the_splitter_fail_otherwise(pieces: list[bytes]) -> None:
    splitter = FrameSplitter()
    try:
        for piece in pieces:
            splitter.feed(piece)
            splitter.feed(frame(piece, piece))
    except (BadAnswer, UpstreamTooLarge):
        return
