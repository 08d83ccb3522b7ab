"""Events are found wherever a stream is cut, and only where the protocol ends a line."""

from __future__ import annotations

import time
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given, strategies as st

from gateway.upstreams.faults import UpstreamTooLarge
from gateway.upstreams.sse import MAX_EVENT_BYTES, EventSplitter

STREAM = (
    ": keep-alive\n\n"
    'data: {"text":"a\u2028b\u0085c\x0bd"}\n\n'
    "event: chunk\r\ndata:no space\r\n\r\n"
    "data: first\ndata: second\n\nid: 7\nretry: 10\n\n"
    "data: bare\r\rdata: naïve\n\ndata: mixed\r\n\n"
    "data: [DONE]\n\n"
).encode()
EVENTS = [
    '{"text":"a\u2028b\u0085c\x0bd"}'.encode(),
    b"no space",
    b"first\nsecond",
    b"bare",
    "naïve".encode(),
    b"mixed",
    b"[DONE]",
]


def split(pieces: list[bytes]) -> list[bytes]:
    splitter = EventSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events + splitter.finish()


def test_a_stream_cut_at_any_byte_gives_the_same_events() -> None:
    for place in range(len(STREAM) + 1):
        assert split([STREAM[:place], STREAM[place:]]) == EVENTS, place


def test_a_stream_byte_by_byte_gives_the_same_events() -> None:
    assert split([bytes([byte]) for byte in STREAM]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_in_any_pieces_gives_the_same_events(places: list[int]) -> None:
    edges = [0, *sorted(places), len(STREAM)]

    assert split([STREAM[a:b] for a, b in pairwise(edges)]) == EVENTS


def test_a_mark_of_byte_order_hides_no_event() -> None:
    assert split(["\ufeffdata: a\n\ndata: b\n\n".encode()]) == [b"a", b"b"]


def test_the_last_event_needs_no_blank_line() -> None:
    assert split([b"data: a\n\ndata: b"]) == [b"a", b"b"]


def test_a_long_line_in_many_pieces_is_read_in_no_time() -> None:
    splitter = EventSplitter(16 * 1024 * 1024)
    splitter.feed(b"data: ")
    began = time.process_time()

    for _ in range(8_000):
        splitter.feed(b"x" * 2_000)

    # Joined with what came before piece by piece, it took the loop for half a minute.
    assert time.process_time() - began < 2
    assert [len(event) for event in splitter.feed(b"\n\n")] == [16_000_000]


def test_an_endless_line_is_refused() -> None:
    splitter = EventSplitter()
    splitter.feed(b"x" * MAX_EVENT_BYTES)

    with pytest.raises(UpstreamTooLarge):
        splitter.feed(b"x")


def test_an_endless_event_of_short_lines_is_refused() -> None:
    splitter = EventSplitter()

    with pytest.raises(UpstreamTooLarge):
        splitter.feed(
            b"data: "
            + b"y" * (MAX_EVENT_BYTES // 2)
            + b"\ndata: "
            + b"y" * (MAX_EVENT_BYTES // 2 + 1)
            + b"\n"
        )


def test_an_endless_event_of_empty_lines_is_refused() -> None:
    splitter = EventSplitter()

    with pytest.raises(UpstreamTooLarge):
        splitter.feed(b"data:\n" * (MAX_EVENT_BYTES // 5 + 1))


def test_lines_of_one_event_do_not_count_for_the_next() -> None:
    splitter = EventSplitter()

    for _ in range(3):
        assert splitter.feed(b"data: " + b"y" * (MAX_EVENT_BYTES // 2) + b"\n\n")


def test_a_long_line_costs_no_more_than_its_length() -> None:
    splitter = EventSplitter(64 * MAX_EVENT_BYTES)
    piece = b"x" * 65_536

    began = process_time()
    for fed in (b"data: ", *[piece] * 512):
        assert splitter.feed(fed) == []

    # Joined anew with every piece it would take twenty seconds.
    assert process_time() - began < 2
    assert splitter.feed(b"\n\n") == [piece * 512]
