"""Every recorded request arrives at an upstream of any other protocol as an equivalent one."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.formats.base import Format
from gateway.passages.table import passage_for
from gateway.upstreams.base import CannotExpress, Prepared
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
    "bedrock": "anthropic",
    # Where a chat client's request is written anew, too.
    "groq": "groq",
    "mistral": "mistral",
}
BEGIN_WITH_A_USER = ("anthropic", "bedrock")
CLOSES_SCHEMAS = ("anthropic", "bedrock")
# By the client's format.
READS_SEALS_OF = {"messages": ("anthropic", "bedrock"), "responses": ("openai_responses",)}
WANTS_THOUGHTS = ("deepseek",)
# Where the address says it.
STREAMING_TARGETS = ("/converse-stream", ":streamGenerateContent?alt=sse")
# By the form's names: what some protocols cannot say, and how often that is met.
UNSAID = Counter(
    {
        "logprobs": 8,
        "mcp_servers": 8,
        # Documents, and pictures at an address.
        "messages": 36,
        "response_format": 20,
        "tool_choice": 1,
        # Bedrock wants the tools of earlier calls again.
        # Sixteen of them ask for nothing but a tool of one provider's own.
        "tools": 21,
        "tools[0].type": 1,
        "web_search": 32,
    }
)
CHOSEN = [each for each in recordings() if each.dialect in FORMATS and "model" in each.request]


def _arrives(recording: Recording, format_: Format, adapter: str) -> Prepared:
    asked = format_.parse(json.dumps(recording.request).encode(), {})
    one = attempt(
        asked,
        channel=channel(UPSTREAMS[adapter], "openai" if adapter in {"groq", "mistral"} else adapter),
        model=model(
            max_output=200_000,
            traits=TRAITS.get(adapter, frozenset()),
            # On Bedrock it depends on whose model it is what can be said.
            provider="anthropic" if adapter == "bedrock" else "openai",
        ),
    )
    return passage_for(format_, one.route, one.model).prepare(one)


@pytest.mark.parametrize("adapter", UPSTREAMS)
@pytest.mark.parametrize("recording", params(CHOSEN))
def test_a_recorded_request_arrives_as_an_equivalent_one(recording: Recording, adapter: str) -> None:
    expected = QUESTION[recording.dialect](recording.request)
    try:
        prepared = _arrives(recording, FORMATS[recording.dialect], adapter)
    except (CannotExpress, InvalidRequest):
        # A documented 400; below it is counted how few these are.
        return

    body, dropped = json.loads(prepared.body), prepared.dropped
    got = QUESTION[FORMAT_OF.get(adapter, "chat")](body)

    _compare_details(expected, got, adapter, recording.dialect, dropped)
    asks_to_stream = bool(body.get("stream")) or prepared.target.endswith(STREAMING_TARGETS)
    # Qwen thinks in streams only; the adapter puts them together.
    assert asks_to_stream == (bool(recording.request.get("stream")) or bool(body.get("enable_thinking")))
    if adapter in BEGIN_WITH_A_USER and (not expected.turns or expected.turns[0][0] != "user"):
        # These conversations begin with a user: one is put there, or what was said as system is.
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


def _compare_details(
    expected: Question, got: Question, adapter: str, dialect: str, dropped: tuple[str, ...]
) -> None:
    """Compare what beside the conversation decides about the answer."""
    assert got.shape == (_closed(expected.shape) if adapter in CLOSES_SCHEMAS else expected.shape)
    assert got.sampling == {name: value for name, value in expected.sampling.items() if name not in dropped}
    if "tools" not in dropped:
        assert got.parameters == expected.parameters
    assert got.strict == (set() if "strict" in dropped else expected.strict)
    # Nobody can read another's seals.
    assert got.seals == (expected.seals if adapter in READS_SEALS_OF.get(dialect, ()) else [])
    if adapter in WANTS_THOUGHTS and dialect == "chat":
        assert got.thoughts == expected.thoughts


def _closed(schema: Any) -> Any:
    """Return a schema as Anthropic demands it: no object may hold more than is named."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    return closed | {"additionalProperties": False} if closed.get("type") == "object" else closed


def _choice(asked: Question) -> str:
    # To have to call the only tool there is and to have to call that tool by name are the same.
    return next(iter(asked.tools)) if asked.choice == "required" and len(asked.tools) == 1 else asked.choice


def _at_least(most: int | None, adapter: str) -> int | None:
    # OpenAI's Responses refuse a maximum below 16.
    return max(16, most) if most is not None and adapter == "openai_responses" else most


def _most(got: Question, adapter: str) -> int | None:
    # These demand a maximum; where none was asked for, the model's own is sent.
    return None if adapter in BEGIN_WITH_A_USER and got.most == 200_000 else got.most


def test_most_requests_can_be_said_everywhere() -> None:
    if not CHOSEN:
        pytest.skip("recordings are not beside the project")
    refused = [refusal for each in CHOSEN if (refusal := _refusal(each, "own"))]
    unsaid = [
        field
        for each in CHOSEN
        for adapter in UPSTREAMS
        if not _refusal(each, "own") and (field := _refusal(each, adapter))
    ]

    # What is not offered at all is refused by the format itself, under its name.
    assert "?" not in refused
    assert len(refused) < len(CHOSEN) / 6, refused
    assert Counter(unsaid) <= UNSAID


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
