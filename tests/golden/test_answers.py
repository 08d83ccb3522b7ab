"""Every recorded answer says the same to a client of each format: text, tool calls, reason to end, usage."""

from __future__ import annotations

import json

import pytest

from gateway.upstreams.base import BadAnswer
from tests.golden.facts import ANSWER, STREAM
from tests.golden.recordings import FOLDER, Recording, params, recordings
from tests.golden.replay import FORMATS, is_whole, passage_of, through, told

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


def test_the_recordings_are_all_there() -> None:
    if not FOLDER.parent.is_dir():
        pytest.skip("recordings are not beside the project")
    # A folder that is there without them is a mistake that must not pass for a skip.
    assert len(ALL) >= 221
    assert sum(each.is_stream for each in ALL) >= 58
    assert sum(is_whole(each) for each in ALL) >= 200


# What a refusal says beside its message is the provider's own business.
REFUSALS = [each for each in ALL if each.status != 200]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("recording", params(REFUSALS))
def test_a_recorded_refusal_keeps_its_words_and_blames_no_account(recording: Recording, name: str) -> None:
    passage, one = passage_of(recording, FORMATS[name])

    message, param = passage.complaint(recording.body, one.route.channel)

    assert message == recording.response["error"]["message"]
    assert param == recording.response["error"].get("param")
    assert not passage.blames_our_account(recording.body)
