"""Whatever an upstream says becomes responses and events that the official SDK's types accept."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from catalog.pricing import Usage
from gateway.asked import Attempt
from gateway.errors import RateLimit, UpstreamError
from gateway.events import (
    Began,
    Choice,
    Cited,
    Done,
    Event,
    Finished,
    RefusalDelta,
    Result,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.form import Message, Refusal, Text, Thinking, ToolCall
from gateway.formats.responses import Responses
from gateway.formats.responses_seals import Seal, unwrap
from tests.gateway.attempts import ask, attempt
from tests.gateway.responses_sdk import check_events, check_response, events_of

RESPONSES = Responses()
USAGE = Usage(10, 4, 1, 7, 3, searches=1)
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find"}]},
    {"type": "namespace", "name": "web", "tools": [{"type": "function", "name": "look"}]},
]


def at(**fields: Any) -> Attempt:
    return attempt(ask(RESPONSES, {"model": "gpt-4o", "input": "hi", "tools": TOOLS, **fields}))


def written(events: list[Event], **fields: Any) -> list[dict[str, Any]]:
    """Return the events of a whole stream, each checked."""
    writer = RESPONSES.writer(at(**fields))
    stream = writer.write([Began("up_1")])
    for event in events:
        stream += writer.write([event])
    shown = events_of(stream + writer.closing(USAGE))
    check_events(shown)
    return shown


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_only_what_the_end_cut_off_is_incomplete() -> None:
    writer = RESPONSES.writer(at())
    batch: list[Event] = [
        TextDelta("so"), ToolBegan(0, "c0", "look"), ToolDelta(0, "{}"), ToolBegan(1, "c1", "find"), ToolDelta(1, '{"a'),
        Finished("length"), Done(),
    ]  # fmt: skip

    shown = events_of(writer.write([Began("up_1")]) + writer.write(batch) + writer.closing(USAGE))
    check_events(shown)

    items = [event["item"]["status"] for event in shown if event["type"] == "response.output_item.done"]
    assert items == ["completed", "completed", "incomplete"]
    assert shown[-1]["response"]["status"] == "incomplete"


def test_a_text_has_the_order_of_events_that_sdks_need() -> None:
    events = written([TextDelta("hel"), TextDelta("lo"), Finished("stop"), Done()])

    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = events[-1]["response"]
    assert response["id"] == "resp_test"
    assert response["status"] == "completed"
    assert response["completed_at"] >= response["created_at"]
    assert response["output"] == [events[-2]["item"]]
    assert response["output"][0]["content"][0]["text"] == "hello"
    assert response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 17,
    }


def test_what_was_asked_is_told_back() -> None:
    asked = {
        "instructions": "Be kind.",
        "max_output_tokens": 50,
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "store": False,
        "temperature": 0.5,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "look"},
        "truncation": "auto",
        "user": "u1",
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "previous_response_id": "resp_before",
    }

    response = written([TextDelta("{}"), Finished("stop")], **asked)[-1]["response"]

    assert {name: response[name] for name in asked} == asked


def test_thoughts_become_summaries_and_carry_any_providers_seal() -> None:
    events = written(
        [
            ThinkingDelta("first"),
            ThinkingDelta("second", starts_part=True),
            ThinkingSealed("sig", "anthropic"),
            ThinkingSealed("xyz", "anthropic", is_redacted=True),
            TextDelta("done"),
            Finished("stop"),
        ]
    )

    thought, hidden, message = events[-1]["response"]["output"]
    assert [part["text"] for part in thought["summary"]] == ["first", "second"]
    assert unwrap(thought["encrypted_content"]) == Seal("anthropic", "sig")
    assert unwrap(hidden["encrypted_content"]) == Seal("anthropic", "xyz", is_redacted=True)
    assert message["type"] == "message"
    assert kinds(events)[2:11] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
    ]


def test_seals_are_kept_from_those_who_keep_nothing_and_did_not_ask() -> None:
    said: list[Event] = [ThinkingDelta("hm"), ThinkingSealed("sig", "anthropic"), Finished("stop")]

    shown = [
        written(said, **fields)[-1]["response"]["output"][0].get("encrypted_content") is not None
        for fields in ({"store": False}, {"store": False, "include": ["reasoning.encrypted_content"]}, {})
    ]

    assert shown == [False, True, True]


def test_calls_that_come_in_turns_do_not_overlap_and_keep_their_kind_and_namespace() -> None:
    events = written(
        [
            ToolBegan(0, "c0", "look"),
            ToolBegan(1, "c1", "patch", is_custom=True),
            ToolBegan(2, "c2", "find"),
            ToolBegan(3, "c3", "web__look"),
            ToolDelta(1, "*** Begin"),
            ToolDelta(0, '{"a":'),
            ToolDelta(0, "1}"),
            ToolDelta(1, " Patch"),
            Finished("tool_calls"),
            Done(),
        ],
        tools=[
            *TOOLS[:3],
            {"type": "namespace", "name": "web", "tools": [{"type": "function", "name": "look"}]},
        ],
    )

    look, patch, find, other = events[-1]["response"]["output"]
    assert (look["type"], look["call_id"], look["name"], look["arguments"]) == (
        "function_call",
        "c0",
        "look",
        '{"a":1}',
    )
    assert (patch["type"], patch["input"]) == ("custom_tool_call", "*** Begin Patch")
    assert (find["namespace"], find["name"], find["arguments"]) == ("crm", "find", "{}")
    assert (other["namespace"], other["name"]) == ("web", "look")


def test_searches_and_sources_have_items_and_events_of_their_own() -> None:
    events = written(
        [
            Searched("s1", "weather"),
            TextDelta("Rain."),
            Cited("https://a.example", "A", 0, 5),
            Searched("s2"),
            TextDelta("Sun."),
            Cited("https://b.example", "B", 5, 9),
            Finished("stop"),
        ]
    )

    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["web_search_call", "message", "web_search_call", "message"]
    assert output[0]["action"]["query"] == "weather"
    for item, url in ((output[1], "https://a.example"), (output[3], "https://b.example")):
        (annotation,) = item["content"][0]["annotations"]
        text = item["content"][0]["text"]
        assert annotation["url"] == url
        assert text[annotation["start_index"] : annotation["end_index"]] == text
    assert kinds(events).count("output_text.annotation.added") == 2


@pytest.mark.parametrize(
    ("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_did_not_end_by_itself_is_incomplete(reason: Any, why: str) -> None:
    events = written([TextDelta("half"), Finished(reason), Done()])

    response = events[-1]["response"]
    assert events[-1]["type"] == "response.incomplete"
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": why})
    assert response["output"][0]["status"] == "incomplete"
    assert response["completed_at"] is None


def test_a_refusal_is_a_part_of_its_own() -> None:
    events = written([RefusalDelta("No"), RefusalDelta("."), Finished("stop")])

    assert events[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]
    assert "refusal.done" in kinds(events)


def test_log_probabilities_come_with_the_text() -> None:
    given = msgspec.Raw(
        b'[{"token":"a","logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"b","logprob":-1}]}]'
    )

    events = written([TextDelta("a", logprobs=given), Finished("stop")], top_logprobs=1)

    (delta,) = [event for event in events if event["type"].endswith("output_text.delta")]
    assert delta["logprobs"][0]["top_logprobs"][0]["token"] == "b"
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"][0]["bytes"] == []


def test_a_cut_ends_as_incomplete_with_what_was_said() -> None:
    writer = RESPONSES.writer(at())
    stream = writer.write([TextDelta("half an ans")]) + writer.write(
        [ToolBegan(0, "c0", "look"), ToolDelta(0, '{"a')]
    )

    events = events_of(stream + writer.cut(USAGE))

    check_events(events)
    response = events[-1]["response"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][1]["arguments"] == '{"a'
    assert response["output"][1]["status"] == "incomplete"


@pytest.mark.parametrize(
    ("error", "code"),
    [(UpstreamError("broke"), "server_error"), (RateLimit("slow down"), "rate_limit_exceeded")],
)
def test_a_failure_is_told_in_both_forms_and_never_ends_cleanly(error: Any, code: str) -> None:
    writer = RESPONSES.writer(at())

    events = events_of(writer.write([TextDelta("half")]) + writer.failure(error))

    told, last = events[-2:]
    assert told["error"]["code"] == told["code"] == error.code
    assert told["message"] == error.message
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": code, "message": error.message}
    check_response(last["response"])


def test_a_whole_answer_says_the_same_as_a_stream_of_it() -> None:
    result = Result(
        [
            Choice(
                [
                    Thinking("hm", "sig", origin="anthropic"),
                    Searched("s1", "weather"),
                    Text("Rain."),
                    ToolCall("c0", "look", ""),
                    ToolCall("c1", "patch", "text", is_custom=True, seal="gs"),
                    Refusal("No."),
                ],
                "tool_calls",
                citations=[Cited("https://a.example", "A", 0, 5)],
            )
        ],
        USAGE,
    )
    whole = json.loads(RESPONSES.render(result, USAGE, at()))
    streamed = written(
        [
            ThinkingDelta("hm"),
            ThinkingSealed("sig", "anthropic"),
            Searched("s1", "weather"),
            TextDelta("Rain."),
            Cited("https://a.example", "A", 0, 5),
            ToolBegan(0, "c0", "look"),
            ToolBegan(1, "c1", "patch", is_custom=True, seal="gs"),
            ToolDelta(1, "text"),
            RefusalDelta("No."),
            Finished("tool_calls"),
            Done(),
        ]
    )[-1]["response"]

    check_response(whole)
    assert whole["output"] == streamed["output"]
    assert whole.keys() == streamed.keys()


def test_a_text_of_nothing_is_no_message() -> None:
    result = Result([Choice([Text(""), ToolCall("c0", "look", "{}")], "tool_calls")], USAGE)

    (call,) = json.loads(RESPONSES.render(result, USAGE, at()))["output"]

    assert call["type"] == "function_call"


def test_an_answer_goes_back_in_as_it_came_out() -> None:
    said: list[Any] = [
        Thinking("hm", "sig", origin="anthropic"),
        Text("Let me see.", signature="of text"),
        ToolCall("c0", "look", "{}", seal="of call"),
        ToolCall("c1", "patch", "text", is_custom=True),
        ToolCall("c2", "find", "{}", namespace="crm"),
    ]
    body = json.loads(RESPONSES.render(Result([Choice(said, "tool_calls")], USAGE), USAGE, at()))
    results = [{"type": "function_call_output", "call_id": "c0", "output": "1"}]

    form = ask(RESPONSES, {"model": "m", "input": [*body["output"], *results], "tools": TOOLS}).form()

    (answer, reply) = form.messages
    for part in answer.parts:
        if isinstance(part, Thinking):
            part.id = ""
    assert answer == Message("assistant", said)
    assert reply.role == "user"


EVENTS = st.lists(
    st.one_of(
        st.builds(TextDelta, st.text(max_size=4), phase=st.sampled_from(["", "commentary"])),
        st.builds(RefusalDelta, st.text(max_size=4)),
        st.builds(ThinkingDelta, st.text(max_size=4), starts_part=st.booleans()),
        st.builds(ThinkingSealed, st.text(max_size=4), st.sampled_from(["anthropic", "gemini", "responses"])),
        st.builds(
            ToolBegan, st.integers(0, 2), st.just("c"), st.sampled_from(["look", "find"]), is_custom=st.booleans(),
            seal=st.sampled_from(["", "x"]),
        ),
        st.builds(ToolDelta, st.integers(0, 2), st.sampled_from(["{", "}", '{"a":1}', ""])),
        st.builds(Cited, st.just("https://a.example"), start=st.integers(-1, 9), end=st.integers(-1, 9)),
        st.builds(Searched, st.just("s"), st.text(max_size=4)),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_whatever_comes_in_whatever_order_the_events_are_valid(events: list[Event]) -> None:
    written([*events, Finished("stop"), Done()])
