"""Every recorded answer says the same to a client of each format: text, tool calls, reason to end, usage."""

from __future__ import annotations

import json

import pytest

from gateway.upstreams.base import BadAnswer
from tests.golden.facts import ANSWER, STREAM
from tests.golden.recordings import Recording, params, recordings
from tests.golden.replay import FORMATS, is_whole, through, told

ALL = recordings()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("recording", params([each for each in ALL if is_whole(each)]))
def test_a_recorded_answer_says_the_same_in_every_format(recording: Recording, name: str) -> None:
    expected = told(recording)

    got, billed = through(recording, FORMATS[name])

    facts = STREAM[name](got.decode()) if recording.is_stream else ANSWER[name](json.loads(got))
    assert facts.text == expected.text
    assert facts.thoughts == expected.thoughts
    assert facts.calls == expected.calls
    assert facts.reason == expected.reason
    # A provider that reports nothing leaves an estimate.
    assert facts.usage == (expected.usage or facts.usage)
    assert not facts.has_error
    assert billed == expected.usage


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "recording", params([each for each in ALL if each.status == 200 and not is_whole(each)])
)
def test_what_is_no_whole_answer_is_never_given_as_one(recording: Recording, name: str) -> None:
    with pytest.raises(BadAnswer):
        through(recording, FORMATS[name])


def test_the_recordings_are_many() -> None:
    if not ALL:
        pytest.skip("recordings are not beside the project")
    assert len(ALL) > 200
    assert sum(is_whole(each) for each in ALL) > 170
