"""Every recorded answer says the same to a client of each format: text, tool calls, reason to end, usage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.endpoints import ENDPOINTS
from gateway.formats.base import Format
from gateway.passages.base import StreamTranslator
from gateway.passages.table import passage_for
from gateway.upstreams.base import BadAnswer
from tests.gateway.attempts import attempt, channel, model
from tests.golden.facts import ANSWER, STREAM, Facts
from tests.golden.recordings import Recording, params, recordings

ALL = recordings()
FORMATS = {
    name: ENDPOINTS[path]
    for name, path in {
        "chat": "/v1/chat/completions",
        "messages": "/v1/messages",
        "responses": "/v1/responses",
    }.items()
}
# Chat clients are passed on as they are to channels that speak both, but for models that know Responses only.
TRAITS = {"openai_responses": frozenset({"responses_only"})}
_QUESTION: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": True}},
    "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9_000},
    "responses": {"input": "hi"},
}


def asked_in(format_: Format, *, is_stream: bool) -> Any:
    """Return a plain question in a format."""
    body = {"model": "gpt-4o", "stream": is_stream, **_QUESTION[format_.name]}
    if not is_stream:
        body.pop("stream_options", None)
    return format_.parse(json.dumps(body).encode(), {})


def through(recording: Recording, format_: Format) -> bytes:
    """Replay an answer as the upstream of a client of a format, and return what the client gets."""
    one = attempt(
        asked_in(format_, is_stream=recording.is_stream),
        channel=channel(recording.provider, recording.adapter),
        model=model(traits=TRAITS.get(recording.adapter, frozenset())),
    )
    passage = passage_for(format_, one.route, one.model)
    passage.prepare(one)
    if not recording.is_stream:
        return passage.answer(recording.body, one).body
    translator, splitter = passage.stream(one), passage.splitter()
    told = [translator.feed(event) for event in (*splitter.feed(recording.body), *splitter.finish())]
    return b"".join(told) + _end(translator)


def _end(translator: StreamTranslator) -> bytes:
    if not translator.finish_reason:
        raise BadAnswer("ended without a finish reason")
    assert translator.usage is not None
    return translator.closing(translator.usage)


def _told(recording: Recording) -> Facts:
    told = STREAM[recording.dialect](recording.response) if recording.is_stream else None
    return told or ANSWER[recording.dialect](recording.response)


def is_whole(recording: Recording) -> bool:
    """Tell whether a recording is an answer that ended: not an error, nor one still under way."""
    if recording.status != 200 or (isinstance(recording.response, dict) and "error" in recording.response):
        is_error = recording.status != 200 or recording.response["error"] is not None
        if is_error:
            return False
    if isinstance(recording.response, dict) and recording.response.get("status") in {"queued", "in_progress"}:
        return False
    if isinstance(recording.response, dict) and "input_tokens" in recording.response:
        return False
    facts = _told(recording)
    return bool(facts.reason) and not facts.has_error


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("recording", params([each for each in ALL if is_whole(each)]))
def test_a_recorded_answer_says_the_same_in_every_format(recording: Recording, name: str) -> None:
    expected = _told(recording)

    got = through(recording, FORMATS[name])

    facts = STREAM[name](got.decode()) if recording.is_stream else ANSWER[name](json.loads(got))
    assert facts.text == expected.text
    assert facts.calls == expected.calls
    assert facts.reason == expected.reason
    # A provider that reports nothing leaves an estimate.
    assert facts.usage == (expected.usage or facts.usage)
    assert not facts.has_error


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
