"""Streams of every protocol, written as oddly as servers write them, say the same to a client of each format."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.upstreams.base import BadAnswer
from tests.golden.facts import STREAM, Facts
from tests.golden.recordings import Recording
from tests.golden.replay import FORMATS, through, told
from tests.golden.streams import NAMES, WAYS, blocked, failing, stream

# Bedrock's frames are no lines.
_CASES = [case for case in product(NAMES, WAYS) if case[0] != "bedrock" or case[1] == "plain"]


def _facts(recording: Recording, name: str, pieces: int = 0) -> Facts:
    shown, billed = through(recording, FORMATS[name], pieces)
    if recording.says is not None:
        assert billed == recording.says.usage
    return STREAM[name](shown.decode())


@pytest.mark.parametrize("pieces", [0, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("protocol", "way"), _CASES)
def test_a_stream_may_be_written_in_any_way(protocol: str, way: str, name: str, pieces: int) -> None:
    recording = stream(protocol, way, client=name)

    assert _facts(recording, name, pieces) == told(recording)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("protocol", NAMES)
def test_a_stream_may_lack_the_mark_of_its_end(protocol: str, name: str) -> None:
    recording = stream(protocol, client=name, has_mark=False)

    assert _facts(recording, name) == told(recording)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("protocol", NAMES)
def test_a_stream_without_a_report_says_all_the_rest(protocol: str, name: str) -> None:
    recording = stream(protocol, client=name, has_usage=False)
    expected = told(recording)

    facts = _facts(recording, name)

    assert facts.usage is not None
    facts.usage = None
    assert facts == expected


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("protocol", NAMES)
def test_a_stream_that_says_it_failed_is_never_an_answer(protocol: str, name: str) -> None:
    for recording in failing(protocol, name):
        with pytest.raises(BadAnswer):
            through(recording, FORMATS[name])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("protocol", NAMES)
def test_what_a_filter_stops_is_an_answer_that_says_so(protocol: str, name: str) -> None:
    for recording in blocked(protocol, name):
        facts = _facts(recording, name)

        assert (facts.text, facts.calls, facts.reason) == ("", [], "content_filter")
        assert not facts.has_error
