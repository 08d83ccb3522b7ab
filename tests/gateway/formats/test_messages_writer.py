from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from catalog.pricing import Usage
from gateway.errors import ServiceUnavailable
from gateway.events import (
    AnswerPart,
    Began,
    Choice,
    Cited,
    Done,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Reported,
    Result,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Refusal, Text, Thinking, ToolCall
from gateway.formats.messages import Messages
from gateway.formats.messages_seals import unwrap
from tests.gateway.attempts import ask, attempt, model
from tests.gateway.formats.messages_shapes import blocks_of, events_of, message_of

USAGE = Usage(111, 10, 100, 7, 3, cache_write_1h_tokens=40, searches=2)
_ASKED = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def write(*events: Event) -> list[dict[str, Any]]:
    writer = Messages().writer(attempt(ask(Messages(), _ASKED), model=model("claude")))
    return events_of(writer.write(events) + writer.closing(USAGE))


def render(choice: Choice) -> dict[str, Any]:
    to = attempt(ask(Messages(), _ASKED), model=model("claude"))
    return message_of(Messages().render(Result([choice], USAGE, "up_1"), USAGE, to))


def test_a_stream_of_everything_is_valid_and_says_what_was_said() -> None:
    events = write(
        Began("up_1"),
        ThinkingDelta("h"),
        ThinkingDelta("m"),
        ThinkingSealed("sig", "anthropic"),
        ThinkingSealed("xx", "anthropic", is_redacted=True),
        TextDelta("so"),
        Cited("https://a.example", "A", 0, 2),
        Searched("s"),
        ToolBegan(0, "t1", "look"),
        ToolDelta(0, '{"a":'),
        ToolBegan(1, "t2", "see"),
        ToolDelta(1, "{}"),
        ToolDelta(0, "1}"),
        Reported(USAGE),
        Finished("tool_calls"),
        Done(),
    )

    assert events[0]["message"]["id"] == "msg_test"
    assert events[0]["message"]["model"] == "claude"
    assert blocks_of(events) == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
        {
            "type": "text",
            "text": "so",
            "citations": [
                {
                    "type": "web_search_result_location",
                    "url": "https://a.example",
                    "title": "A",
                    "encrypted_index": "",
                    "cited_text": "so",
                }
            ],
        },
        {"type": "tool_use", "id": "t1", "name": "look", "input": '{"a":1}'},
        {"type": "tool_use", "id": "t2", "name": "see", "input": "{}"},
    ]
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert events[-2]["usage"] == {
        "input_tokens": 1,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 10,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    }
    assert events[-1] == {"type": "message_stop"}


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
    ],
)
def test_reasons_are_anthropics(reason: FinishReason, shown: str) -> None:
    assert write(Finished(reason))[-2]["delta"]["stop_reason"] == shown
    assert render(Choice([Text("a")], reason))["stop_reason"] == shown


def test_a_stop_sequence_is_named() -> None:
    named = {"stop_reason": "stop_sequence", "stop_sequence": "END"}

    assert write(TextDelta("a"), Finished("stop", stop_sequence="END"))[-2]["delta"] == named
    assert render(Choice([], "stop", "END")).items() >= named.items()


def test_seals_of_others_travel_in_signatures_and_nothing_empty_is_shown() -> None:
    events = write(
        ThinkingSealed("enc", "responses", id="rs_1"),
        TextDelta("", seal="before"),
        TextDelta("so"),
        TextDelta("", seal="after"),
        ToolBegan(0, "t1", "look", seal="of-call"),
        ToolDelta(0, "{}"),
        Finished("tool_calls"),
    )
    whole = render(
        Choice(
            [
                Thinking("", "enc", origin="responses", id="rs_1"),
                Text("", signature="before"),
                Text("so", signature="after"),
                ToolCall("t1", "look", "nonsense", seal="of-call"),
            ],
            "tool_calls",
        )
    )

    streamed = blocks_of(events)
    assert [block["type"] for block in streamed] == [
        "thinking",
        "thinking",
        "text",
        "thinking",
        "thinking",
        "tool_use",
    ]
    assert streamed[:-1] == whole["content"][:-1]
    assert whole["content"][-1]["input"] == {}
    seals = [unwrap(block["signature"]) for block in streamed if block["type"] == "thinking"]
    assert [seal.seal for seal in seals] == ["enc", "before", "after", "of-call"]
    assert (seals[0].origin, seals[0].id, seals[3].call_id) == ("responses", "rs_1", "t1")


def test_the_seal_of_the_last_text_is_left_out_so_that_the_text_comes_last() -> None:
    events = write(
        TextDelta("so", seal="first"), TextDelta(" it is"), TextDelta("", seal="last"), Finished("stop")
    )
    parts: list[AnswerPart] = [Text("so", signature="first"), Text(" it is", signature="last")]

    blocks = blocks_of(events)
    assert [block["type"] for block in blocks] == ["text", "thinking", "text"]
    assert blocks == render(Choice(parts, "stop"))["content"]


def test_a_whole_message_has_its_usage_and_citations() -> None:
    message = render(
        Choice(
            [Text("one"), Refusal("two"), Thinking("hm"), Searched("s")],
            "stop",
            citations=[Cited("https://b.example", start=3, end=6), Cited("https://c.example")],
        )
    )

    assert [block.get("text") for block in message["content"]] == ["one", "two", None]
    assert [each["url"] for each in message["content"][0]["citations"]] == ["https://c.example"]
    assert [each["cited_text"] for each in message["content"][1]["citations"]] == ["two"]
    assert message["usage"]["input_tokens"] == 1
    assert message["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": 60,
        "ephemeral_1h_input_tokens": 40,
    }


def test_a_stream_that_must_stop_is_cut_in_order() -> None:
    writer = Messages().writer(attempt(ask(Messages(), _ASKED)))
    begun = writer.write([TextDelta("a"), ToolBegan(0, "t1", "look"), ToolDelta(0, "{")])

    events = events_of(begun + writer.cut(USAGE))

    assert [block["type"] for block in blocks_of(events)] == ["text", "tool_use"]
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"


def test_a_stream_that_breaks_never_ends_cleanly() -> None:
    writer = Messages().writer(attempt(ask(Messages(), _ASKED)))

    events = events_of(writer.write([TextDelta("a")]) + writer.failure(ServiceUnavailable("gone")))

    assert events[-1]["error"]["type"] == "overloaded_error"
    assert "message_stop" not in json.dumps(events)


WORDS = st.text(max_size=3)
PIECES = st.one_of(
    WORDS.map(TextDelta),
    WORDS.map(RefusalDelta),
    WORDS.map(ThinkingDelta),
    st.builds(TextDelta, WORDS, seal=WORDS),
    st.builds(ThinkingSealed, WORDS, st.sampled_from(["anthropic", "gemini"]), st.booleans()),
    st.builds(ToolBegan, st.integers(0, 2), st.just("t"), st.just("look"), seal=WORDS),
    st.builds(ToolDelta, st.integers(0, 2), st.sampled_from(["{", "}", "{}"])),
    st.builds(Cited, st.just("https://a.example"), WORDS, st.integers(-1, 4), st.integers(-1, 4)),
    st.just(Searched("s")),
)


@given(st.lists(PIECES, max_size=12))
def test_whatever_comes_the_stream_is_valid(events: list[Event]) -> None:
    written = write(*events, Finished("stop"), Done())

    said = "".join(block["text"] for block in blocks_of(written) if block["type"] == "text")
    assert said == "".join(each.text for each in events if isinstance(each, TextDelta | RefusalDelta))
