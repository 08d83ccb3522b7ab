"""Every recorded request arrives at an upstream of any other protocol as an equivalent one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.formats.base import Format
from gateway.passages.table import passage_for
from gateway.upstreams.base import CannotExpress
from tests.gateway.attempts import attempt, channel, model
from tests.golden.questions import QUESTION, Question
from tests.golden.recordings import FORMAT_OF, Recording, params, recordings
from tests.golden.replay import FORMATS, TRAITS

# The protocols that differ; Azure, Vertex and the hosts of open models speak one of these.
UPSTREAMS = {
    "openai": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "deepseek": "deepseek",
    "qwen": "alibaba",
    # Where a chat client's request is written anew, too.
    "groq": "groq",
    "mistral": "mistral",
}
# By the form's names: what some protocols cannot say.
UNSAID = {"logprobs", "mcp_servers", "messages", "response_format", "tool_choice", "tools", "tools[0].type"}
CHOSEN = [each for each in recordings() if each.dialect in FORMATS and "model" in each.request]


def _arrives(recording: Recording, format_: Format, adapter: str) -> tuple[Any, tuple[str, ...]]:
    asked = format_.parse(json.dumps(recording.request).encode(), {})
    one = attempt(
        asked,
        channel=channel(UPSTREAMS[adapter], "openai" if adapter in {"groq", "mistral"} else adapter),
        model=model(max_output=200_000, traits=TRAITS.get(adapter, frozenset())),
    )
    prepared = passage_for(format_, one.route, one.model).prepare(one)
    return json.loads(prepared.body), prepared.dropped


@pytest.mark.parametrize("adapter", UPSTREAMS)
@pytest.mark.parametrize("recording", params(CHOSEN))
def test_a_recorded_request_arrives_as_an_equivalent_one(recording: Recording, adapter: str) -> None:
    expected = QUESTION[recording.dialect](recording.request)
    try:
        body, dropped = _arrives(recording, FORMATS[recording.dialect], adapter)
    except (CannotExpress, InvalidRequest):
        # A documented 400; below it is counted how few these are.
        return

    got = QUESTION[FORMAT_OF.get(adapter, "chat")](body)

    if adapter == "anthropic" and (not expected.turns or expected.turns[0][0] != "user"):
        # Anthropic's conversations begin with a user: one is put there, or what was said as system is.
        assert got.turns[0][0] == "user"
        assert got.settled()[-len(expected.settled()) :] == expected.settled() or not expected.turns
        return
    # Where no parameter asks for JSON, a sentence does.
    assert got.system.startswith(expected.system)
    assert got.system == expected.system or expected.schema == "json_object"
    assert got.settled() == expected.settled()
    if "tools" not in dropped:
        assert got.tools == expected.tools
    if "tool_choice" not in dropped and expected.tools:
        assert _choice(got) == _choice(expected)
    assert got.stop == expected.stop
    assert _most(got, adapter) == _at_least(expected.most, adapter)
    assert body.get("stream", "stream" in recording.name) is not None


def _choice(asked: Question) -> str:
    # To have to call the only tool there is and to have to call that tool by name are the same.
    return next(iter(asked.tools)) if asked.choice == "required" and len(asked.tools) == 1 else asked.choice


def _at_least(most: int | None, adapter: str) -> int | None:
    # OpenAI's Responses refuse a maximum below 16.
    return max(16, most) if most is not None and adapter == "openai_responses" else most


def _most(got: Question, adapter: str) -> int | None:
    # Anthropic demands a maximum; where none was asked for, the model's own is sent.
    return None if adapter == "anthropic" and got.most == 200_000 else got.most


def test_most_requests_can_be_said_everywhere() -> None:
    if not CHOSEN:
        pytest.skip("recordings are not beside the project")
    refused = [refusal for each in CHOSEN if (refusal := _refusal(each, "own"))]
    unsaid = [
        (each.name, adapter, field)
        for each in CHOSEN
        for adapter in UPSTREAMS
        if not _refusal(each, "own") and (field := _refusal(each, adapter))
    ]

    # What is not offered at all is refused by the format itself, under its name.
    assert "?" not in refused
    assert len(refused) < len(CHOSEN) / 6, refused
    assert len(unsaid) < len(CHOSEN) * len(UPSTREAMS) / 16, unsaid
    assert {field for _, _, field in unsaid} <= UNSAID


def _refusal(recording: Recording, adapter: str) -> str:
    """Return the parameter with which a request is refused; ``own`` is what the format alone says."""
    format_ = FORMATS[recording.dialect]
    try:
        if adapter == "own":
            format_.parse(json.dumps(recording.request).encode(), {})
        else:
            _arrives(recording, format_, adapter)
    except InvalidRequest as refused:
        return refused.param or "?"
    except CannotExpress as refused:
        return refused.field
    return ""
