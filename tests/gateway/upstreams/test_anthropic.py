from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from catalog.pricing import Usage
from gateway.events import (
    Began,
    Cited,
    Done,
    Event,
    Finished,
    FinishReason,
    Reported,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Form, FunctionTool, ResponseFormat, Text, Thinking, ToolCall
from gateway.upstreams.anthropic import Anthropic
from gateway.upstreams.anthropic_names import ANSWER_TOOL
from gateway.upstreams.base import BadAnswer
from gateway.upstreams.sse import EventSplitter
from gateway.upstreams.wire_names import wire_name
from tests.gateway.attempts import channel

RECORDINGS = Path(__file__).resolve().parents[4] / "shared" / "recordings" / "anthropic"
needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="no folder with recorded provider traffic"
)
_STOPS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}


def recorded(pattern: str) -> list[tuple[str, dict[str, Any]]]:
    files = sorted(RECORDINGS.glob(pattern))
    return [(path.name, json.loads(path.read_text(encoding="utf-8"))) for path in files]


def read(stream: bytes, form: Form | None = None) -> list[Event]:
    splitter, reader = EventSplitter(), Anthropic().reader(form or Form([]))
    events = splitter.feed(stream) + splitter.finish()
    return [each for event in events for each in reader.feed(event)]


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def total_input(usage: dict[str, Any]) -> int:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(usage.get(name) or 0 for name in names)


@needs_recordings
def test_every_recorded_answer_is_read_as_it_says() -> None:
    answers = [each for each in recorded("*[0-9].json") if each[1]["status"] == 200]
    assert len(answers) >= 15
    for name, exchange in answers:
        said = exchange["response"]
        result = Anthropic().answer(json.dumps(said).encode(), Form([]))

        choice, usage = result.choices[0], result.usage
        blocks: list[dict[str, Any]] = said["content"]
        texts = "".join(block["text"] for block in blocks if block["type"] == "text")
        assert "".join(part.text for part in choice.parts if isinstance(part, Text)) == texts, name
        calls = [
            (part.id, part.name, json.loads(part.arguments))
            for part in choice.parts
            if isinstance(part, ToolCall)
        ]
        assert calls == [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"], name
        seals = [part.seal for part in choice.parts if isinstance(part, Thinking)]
        assert seals == [b["signature"] for b in blocks if b["type"] == "thinking"], name
        assert choice.reason == _STOPS[said["stop_reason"]], name
        assert usage is not None
        assert usage.input_tokens == total_input(said["usage"]), name
        assert usage.output_tokens == said["usage"]["output_tokens"], name
        assert usage.cached_tokens == said["usage"]["cache_read_input_tokens"], name
        assert usage.cache_write_tokens == said["usage"]["cache_creation_input_tokens"], name


@needs_recordings
def test_every_recorded_stream_is_read_as_it_says() -> None:
    streams = recorded("*.stream.json")
    assert len(streams) >= 10
    for name, exchange in streams:
        lines = exchange["response"].splitlines()
        raw = [json.loads(line[5:]) for line in lines if line.startswith("data:")]
        deltas = [event["delta"] for event in raw if event["type"] == "content_block_delta"]
        end = next(event for event in raw if event["type"] == "message_delta")
        events = read(exchange["response"].encode())

        text = "".join(each.text for each in events if isinstance(each, TextDelta))
        assert text == "".join(delta.get("text", "") for delta in deltas), name
        thought = "".join(each.text for each in events if isinstance(each, ThinkingDelta))
        assert thought == "".join(delta.get("thinking", "") for delta in deltas), name
        seals = [each.seal for each in events if isinstance(each, ThinkingSealed) and not each.is_redacted]
        assert seals == [delta["signature"] for delta in deltas if "signature" in delta], name
        usage = next(each.usage for each in events if isinstance(each, Reported))
        assert usage.input_tokens == total_input(end["usage"]), name
        assert usage.output_tokens == end["usage"]["output_tokens"], name
        searches = (end["usage"].get("server_tool_use") or {}).get("web_search_requests") or 0
        assert usage.searches == searches == len([each for each in events if isinstance(each, Searched)]), (
            name
        )
        cited = [each for each in events if isinstance(each, Cited)]
        assert len(cited) == len([1 for delta in deltas if delta["type"] == "citations_delta"]), name
        assert all(0 <= each.start < each.end <= len(text) for each in cited), name
        assert isinstance(events[0], Began)
        assert events[-2:] == [Finished(_STOPS[end["delta"]["stop_reason"]]), Done()], name


@needs_recordings
@pytest.mark.parametrize(
    "name", ["thinking-part-stream-0", "thinking-part-redacted-stream-0", "high-max-tokens-0"]
)
def test_a_stream_cut_at_any_byte_never_ends_cleanly(name: str) -> None:
    ((_, exchange),) = recorded(f"*{name}.stream.json")
    whole: bytes = exchange["response"].encode().rstrip()
    splitter, reader = EventSplitter(), Anthropic().reader(Form([]))
    said: list[Event] = []

    for place in range(len(whole) - 1):
        said += [each for event in splitter.feed(whole[place : place + 1]) for each in reader.feed(event)]
        # What stands there when the connection ends is no event, or one that says nothing of an end.
        with contextlib.suppress(BadAnswer):
            said_last = [
                each
                for event in copy.deepcopy(splitter).finish()
                for each in copy.deepcopy(reader).feed(event)
            ]
            assert Done() not in said_last, place
        assert Done() not in said, place
    assert any(isinstance(each, TextDelta) for each in said)


@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from([b"null", b"[]", b'{"type":"content_block_delta"}', b'{"type":1}'])
    )
)
def test_nonsense_is_a_bad_answer_and_nothing_else(events: list[bytes]) -> None:
    reader = Anthropic().reader(Form([]))
    for event in events:
        with contextlib.suppress(BadAnswer):
            reader.feed(event)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"type":"error","error":{}}',
        b'{"type":"message"}',
        b"[" * 100_000,
        b'{"type":"message","content":[1]}',
    ],
)
def test_no_answer_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        Anthropic().answer(body, Form([]))


def test_an_error_in_a_stream_is_a_bad_answer_and_a_ping_is_nothing() -> None:
    assert read(sse({"type": "ping"}, {"type": "something_new"})) == []
    with pytest.raises(BadAnswer):
        read(sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))


def start(**usage: int) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "usage": usage}}


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    pieces = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    begin = {"type": "content_block_start", "index": index, "content_block": content}
    return [begin, *pieces, {"type": "content_block_stop", "index": index}]


def end(reason: str, **usage: int) -> list[dict[str, Any]]:
    return [
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage},
        {"type": "message_stop"},
    ]


def test_calls_are_counted_and_keep_the_names_that_the_caller_knows() -> None:
    form = Form([], tools=[FunctionTool("look.up"), FunctionTool("see", namespace="eyes")])
    events = read(
        sse(
            start(input_tokens=7, output_tokens=1),
            *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "so"}),
            *block(
                1,
                {"type": "tool_use", "id": "t1", "name": wire_name("look.up"), "input": {}},
                {"type": "input_json_delta", "partial_json": ""},
                {"type": "input_json_delta", "partial_json": '{"a":'},
                {"type": "input_json_delta", "partial_json": "1}"},
            ),
            *block(2, {"type": "tool_use", "id": "t2", "name": "eyes__see", "input": {}}),
            *end("tool_use", output_tokens=9),
        ),
        form,
    )

    assert events[2:] == [
        ToolBegan(0, "t1", "look.up"),
        ToolDelta(0, '{"a":'),
        ToolDelta(0, "1}"),
        ToolBegan(1, "t2", "see", namespace="eyes"),
        ToolDelta(1, "{}"),
        Reported(Usage(7, 0, 0, 9, 0)),
        Finished("tool_calls"),
        Done(),
    ]


def test_the_answers_tool_is_the_answer() -> None:
    form = Form([], response_format=ResponseFormat("json_schema"))
    call = {"type": "tool_use", "id": "t1", "name": ANSWER_TOOL, "input": {}}
    events = read(
        sse(
            start(),
            *block(0, call, {"type": "input_json_delta", "partial_json": '{"n":4}'}),
            *end("tool_use"),
        ),
        form,
    )
    whole = {"type": "message", "content": [call | {"input": {"n": 4}}], "stop_reason": "tool_use"}
    choice = Anthropic().answer(json.dumps(whole).encode(), form).choices[0]

    assert events[1:] == [TextDelta('{"n":4}'), Finished("stop"), Done()]
    assert (choice.parts, choice.reason) == ([Text('{"n": 4}')], "stop")


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"input_tokens": 1, "output_tokens": 2}, Usage(1, 0, 0, 2, 0)),
        (
            {
                "input_tokens": 1,
                "cache_read_input_tokens": 10,
                "cache_creation_input_tokens": 100,
                "cache_creation": {"ephemeral_5m_input_tokens": 70, "ephemeral_1h_input_tokens": 30},
                "output_tokens": 5,
                "output_tokens_details": {"thinking_tokens": 4},
                "server_tool_use": {"web_search_requests": 3},
            },
            Usage(111, 10, 100, 5, 4, cache_write_1h_tokens=30, searches=3),
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 2,
                "iterations": [
                    {"type": "compaction", "input_tokens": 90, "output_tokens": 20},
                    {"type": "message", "input_tokens": 10, "output_tokens": 2},
                ],
            },
            Usage(100, 0, 0, 22, 0),
        ),
        (
            # More thoughts than output cannot be.
            {"input_tokens": 10, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 7}},
            Usage(10, 0, 0, 2, 2),
        ),
        ({"input_tokens": -1, "output_tokens": 2}, None),
        ({"input_tokens": 10**12, "output_tokens": 2}, None),
        ({"output_tokens": 2}, None),
    ],
)
def test_usage_counts_the_cache_into_the_input(reported: dict[str, Any], usage: Usage | None) -> None:
    body = {"type": "message", "content": [], "stop_reason": "end_turn", "usage": reported}

    assert Anthropic().answer(json.dumps(body).encode(), Form([])).usage == usage


def test_only_our_empty_account_is_ours_and_a_complaint_carries_nothing_of_ours() -> None:
    adapter = Anthropic()
    empty = b'{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to go on."}}'
    quoted = b'{"type":"error","error":{"type":"invalid_request_error","message":"x Your credit balance is too low"}}'
    message, param = adapter.complaint(
        b'{"error":{"message":"bad sk-secret-of-ours-123456 at https://a.example/x"}}', channel("anthropic")
    )

    assert adapter.blames_our_account(empty)
    assert adapter.blames_our_account(b'{"type":"error","error":{"type":"billing_error","message":""}}')
    assert not adapter.blames_our_account(quoted)
    assert (message, param) == ("bad [removed] at [removed]", None)
