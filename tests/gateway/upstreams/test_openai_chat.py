"""Chat completions as an upstream's protocol: what is asked keeps its meaning, and any server's answer is understood."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from catalog.pricing import Usage
from gateway import form as f
from gateway.assembly import Assembly
from gateway.events import Choice, Done, Event, Result
from gateway.upstreams.base import BadAnswer, CannotExpress
from gateway.upstreams.openai_chat import OpenAIChat
from gateway.upstreams.wire_names import wire_name
from tests.gateway.attempts import attempt, channel, model
from tests.gateway.upstreams.recordings import needed, recorded

ADAPTER = OpenAIChat()
SCHEMA = msgspec.Raw(b'{"type":"object"}')
LOOK = f.FunctionTool("look", "Look.", SCHEMA, strict=True)
PATCH = f.CustomTool(
    "patch", "Patch.", msgspec.Raw(b'{"type":"grammar","syntax":"lark","definition":"start: x"}')
)
HELLO = f.Message("user", [f.Text("hi")])


def sent(form: f.Form, provider: str = "openai", **fields: Any) -> dict[str, Any]:
    prepared = ADAPTER.prepare(form, attempt(channel=channel(provider), **fields))
    body: dict[str, Any] = json.loads(prepared.body)
    return body


def dropped(form: f.Form, provider: str = "openai", **fields: Any) -> tuple[str, ...]:
    return ADAPTER.prepare(form, attempt(channel=channel(provider), **fields)).dropped


def read(*chunks: dict[str, Any], form: f.Form | None = None) -> Result:
    reader, assembly = ADAPTER.reader(form or f.Form([])), Assembly()
    for chunk in chunks:
        assembly.take(reader.feed(json.dumps(chunk).encode()))
    return assembly.result()


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"id": "c1", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def only(result: Result) -> Choice:
    (choice,) = result.choices
    return choice


def test_results_of_tools_come_first_and_their_pictures_in_the_users_words() -> None:
    picture = f.Image(data="AAAA", media_type="image/png", detail="low")
    turn = f.Message(
        "user",
        [
            f.Text("And?"),
            f.ToolResult("a", [f.Text("seen"), picture]),
            f.ToolResult("b", [f.Text("no")], is_error=True),
        ],
    )

    messages = sent(f.Form([turn]))["messages"]

    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
    assert messages == [
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: no"},
        {"role": "user", "content": [shown, {"type": "text", "text": "And?"}]},
    ]


def test_an_answer_goes_back_with_its_calls_and_without_thoughts_that_the_server_does_not_want() -> None:
    said: list[f.Part] = [
        f.Thinking("hm"),
        f.Text("I "),
        f.Text("look."),
        f.ToolCall("a", "look", ""),
        f.ToolCall("b", "patch", "x", is_custom=True),
    ]

    theirs = sent(f.Form([f.Message("assistant", said)]))["messages"]
    others = sent(f.Form([f.Message("assistant", said)]), "own")["messages"]

    look = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    patch = {"id": "b", "type": "custom", "custom": {"name": "patch", "input": "x"}}
    wrapped = {"id": "b", "type": "function", "function": {"name": "patch", "arguments": '{"input":"x"}'}}
    assert theirs == [{"role": "assistant", "content": "I look.", "tool_calls": [look, patch]}]
    assert others == [{"role": "assistant", "content": "I look.", "tool_calls": [look, wrapped]}]


def test_tools_are_offered_as_the_server_knows_them() -> None:
    form = f.Form([HELLO], tools=[LOOK, PATCH], tool_choice=f.ToolChoice("required", ["patch"]))

    theirs, others = sent(form), sent(form, "own")

    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}
    assert theirs["tools"][1] == {
        "type": "custom",
        "custom": {"name": "patch", "description": "Patch.", "format": grammar},
    }
    assert theirs["tool_choice"] == {"type": "custom", "custom": {"name": "patch"}}
    assert others["tools"][0]["function"] == {
        "name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": True,
    }  # fmt: skip
    assert "start: x" in others["tools"][1]["function"]["description"]
    assert others["tools"][1]["function"]["parameters"]["required"] == ["input"]
    assert others["tool_choice"] == {"type": "function", "function": {"name": "patch"}}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_a_choice_among_some_tools_shows_only_these_where_it_cannot_be_said(mode: Any) -> None:
    tools: list[f.Tool] = [f.FunctionTool(name) for name in "abc"]
    form = f.Form([HELLO], tools=tools, tool_choice=f.ToolChoice(mode, ["a", "c"]))

    theirs, others = sent(form), sent(form, "own")

    assert theirs["tool_choice"]["allowed_tools"]["mode"] == mode
    assert [each["function"]["name"] for each in theirs["tool_choice"]["allowed_tools"]["tools"]] == [
        "a",
        "c",
    ]
    assert [each["function"]["name"] for each in others["tools"]] == ["a", "c"]
    assert others.get("tool_choice", "auto") == mode


def test_a_name_that_chat_does_not_know_is_found_again() -> None:
    odd, long = f.FunctionTool("dotted.name", namespace="files"), f.FunctionTool("x" * 100)
    form = f.Form([HELLO], tools=[odd, long])
    names = [each["function"]["name"] for each in sent(form)["tools"]]

    calls = [
        {"index": n, "id": f"c{n}", "function": {"name": name, "arguments": "{}"}}
        for n, name in enumerate(names)
    ]
    choice = only(read(delta("tool_calls", tool_calls=calls), form=form))

    assert all(len(name) <= 64 and name.replace("_", "").isalnum() for name in names)
    assert choice.parts == [
        f.ToolCall("c0", "dotted.name", "{}", namespace="files"),
        f.ToolCall("c1", "x" * 100, "{}"),
    ]
    assert wire_name("plain", "") == "plain"


def test_what_only_tunes_is_left_out_and_named() -> None:
    form = f.Form(
        [HELLO],
        top_k=5,
        temperature=0.5,
        verbosity="low",
        metadata={"a": "b"},
        reasoning=f.Reasoning("high"),
        cache="5m",
    )

    assert dropped(form) == ("top_k", "metadata", "cache")
    assert dropped(form, "mistral") == ("top_k", "verbosity", "metadata", "cache")
    plain = model(capabilities=frozenset(), traits=frozenset({"no_sampling"}))
    assert set(dropped(form, model=plain)) == {"temperature", "top_k", "metadata", "cache", "reasoning"}
    assert sent(form)["reasoning_effort"] == "high"


@pytest.mark.parametrize(
    ("form", "provider", "field"),
    [
        (f.Form([HELLO], choices=2), "groq", "choices"),
        (f.Form([HELLO], logprobs=True), "mistral", "logprobs"),
        (f.Form([f.Message("user", [f.File(data="AAAA", media_type="application/pdf")])]), "own", "messages"),
        (f.Form([f.Message("user", [f.File(url="https://x/y.pdf")])]), "openai", "messages"),
        (f.Form([f.Message("user", [f.Foreign("gemini", "x", SCHEMA)])]), "openai", "messages"),
        (f.Form([HELLO], tools=[f.WebSearch(allowed_domains=["x"])]), "openai", "web_search"),
    ],
)
def test_what_cannot_be_said_is_refused(form: f.Form, provider: str, field: str) -> None:
    with pytest.raises(CannotExpress) as caught:
        sent(form, provider)

    assert caught.value.field == field


def test_a_schema_a_document_and_a_search_are_written_as_openai_documents_them() -> None:
    file = f.File(data="AAAA", media_type="application/pdf", name="a.pdf")
    form = f.Form(
        [f.Message("user", [file, f.File(text="plain", name="b.txt")])],
        tools=[f.WebSearch(context_size="low", location={"country": "DE"})],
        response_format=f.ResponseFormat("json_schema", "n", SCHEMA, "d", strict=True),
    )

    body = sent(form, output_bound=7)

    assert body["messages"][0]["content"] == [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "text", "text": "b.txt:\nplain"},
    ]
    assert body["response_format"]["json_schema"] == {
        "name": "n", "schema": {"type": "object"}, "description": "d", "strict": True,
    }  # fmt: skip
    assert body["web_search_options"]["user_location"]["approximate"] == {"country": "DE"}
    assert body["max_completion_tokens"] == 7


@pytest.mark.parametrize(
    "calls",
    [
        [{"id": "a", "function": {"name": "x", "arguments": "{}"}}, {"id": "b", "function": {"name": "y", "arguments": "{}"}}],
        [{"index": 0, "id": "a", "function": {"name": "x", "arguments": "{}"}},
         {"index": 0, "id": "b", "function": {"name": "y", "arguments": "{}"}}],
        [{"index": 0, "id": "a", "function": {"name": "x", "arguments": "{"}},
         {"index": 0, "id": "a", "function": {"name": "x", "arguments": "}"}},
         {"index": 1, "id": "b", "function": {"name": "y", "arguments": {}}}],
        [{"index": 0, "id": "a", "function": {"arguments": "{"}}, {"index": 0, "function": {"name": "x", "arguments": "}"}},
         {"index": 1, "id": "b", "function": {"name": "y"}}, {"index": 1, "function": {"arguments": "{}"}}],
    ],
    ids=["no index", "all the same index", "id and name in each", "name later"],
)  # fmt: skip
@pytest.mark.parametrize("is_split", [False, True])
def test_calls_are_told_apart_however_they_are_numbered(calls: list[Any], *, is_split: bool) -> None:
    chunks = [delta(tool_calls=[call]) for call in calls] if is_split else [delta(tool_calls=calls)]

    choice = only(read(*chunks, delta("stop")))

    arguments = ["{}", "{}"]
    assert [part.arguments or "{}" for part in choice.parts if isinstance(part, f.ToolCall)] == arguments
    assert [(part.id, part.name) for part in choice.parts if isinstance(part, f.ToolCall)] == [
        ("a", "x"),
        ("b", "y"),
    ]
    assert choice.reason == "tool_calls"


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
    ],
)
def test_thoughts_are_found_wherever_they_stand(said: dict[str, Any]) -> None:
    choice = only(read(delta(**said), delta("stop", content="yes")))

    assert choice.parts == [f.Thinking("hm"), f.Text("yes")]


def test_a_seal_of_openrouter_goes_back_as_it_came() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "sig", "index": 0}]
    (thought,) = only(read(delta("stop", reasoning="hm", reasoning_details=details))).parts
    assert isinstance(thought, f.Thinking)
    history = f.Form([HELLO, f.Message("assistant", [thought, f.ToolCall("a", "look", "{}")])])

    assert sent(history, "openrouter")["messages"][1]["reasoning_details"] == details
    assert "reasoning_details" not in sent(history)["messages"][1]


@pytest.mark.parametrize(
    "chunk",
    [
        {"id": "c", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}},
        {
            "id": "c",
            "choices": [{"index": 0, "delta": {}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 4},
        },
        {
            "id": "c",
            "choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 9, "completion_tokens": 4}}],
        },
        {"id": "c", "choices": [], "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 4}}},
    ],
)
def test_usage_is_found_wherever_it_stands(chunk: dict[str, Any]) -> None:
    assert read({"id": "", "choices": []}, delta("stop", content="yes"), chunk).usage == Usage(9, 0, 0, 4, 0)


def test_a_search_that_was_ordered_is_billed_where_no_report_tells() -> None:
    form = f.Form([HELLO], tools=[f.WebSearch()])
    report = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}

    found = read(delta("stop", content="x"), report, form=form).usage

    assert found is not None
    assert found.searches == 1


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": {"message": "overloaded"}},
        {"object": "error", "message": "x", "code": 400},
        delta("error"),
        delta("insufficient_system_resource"),
        {"choices": [{"index": 0, "delta": {"content": 7}}]},
        {"choices": 5},
        delta(content=[7]),
    ],
)
def test_an_error_in_the_place_of_a_chunk_is_one(chunk: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer):
        read(delta(content="a"), chunk)


def test_the_end_is_told_once_and_the_words_of_others_are_understood() -> None:
    events = ADAPTER.reader(f.Form([])).feed(b"[DONE]")

    assert events == [Done()]
    assert only(read(delta("model_length", content="a"), delta("model_length", content="a"))).parts == [
        f.Text("a")
    ]
    assert only(read(delta("sensitive", content="a"))).reason == "content_filter"
    assert only(read(delta("eos", content="a"))).reason == "stop"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "message", "index", "content", "tool_calls", "function", "name", "arguments", "id",
                 "usage", "prompt_tokens", "reasoning_details", "annotations", "url_citation", "logprobs", "error",
                 "finish_reason", "type", "text", "thinking", "extra_content", "google", "x_groq", "custom", "url"]
            ),
            x,
        ),
        max_leaves=30,
    )
)  # fmt: skip
def test_nonsense_is_a_bad_answer_or_read_as_something(value: Any) -> None:
    said = {"delta": value, "index": 0}
    for body in (value, {"choices": value}, {"choices": [said]}, {"choices": [{"message": value}]}):
        raw = json.dumps(body).encode()
        with contextlib.suppress(BadAnswer):
            Assembly().take(ADAPTER.reader(f.Form([])).feed(raw))
        with contextlib.suppress(BadAnswer):
            ADAPTER.answer(raw, f.Form([]))


STREAMS = [*recorded("openai-chat/*.stream.json"), *recorded("compatible/*.stream.json")]


@needed
@pytest.mark.parametrize("recording", STREAMS)
def test_a_recorded_stream_that_is_cut_anywhere_is_not_whole(recording: Any) -> None:
    raw, splitter, reader = recording["response"].encode(), ADAPTER.splitter(), ADAPTER.reader(f.Form([]))
    assembly, ended_at = Assembly(), None
    with contextlib.suppress(BadAnswer):
        for place in range(len(raw)):
            events: list[Event] = []
            for event in splitter.feed(raw[place : place + 1]):
                events += reader.feed(event)
            assembly.take(events)
            if assembly.is_finished and ended_at is None:
                ended_at = place
    is_error = b'"error":' in raw

    # Whole not before the choice's own last words.
    assert ended_at is None or b'"finish_reason":"' in raw[: ended_at + 1]
    assert (ended_at is not None) or is_error


@needed
@pytest.mark.parametrize("recording", STREAMS)
def test_a_stream_in_the_place_of_an_answer_is_put_together_or_refused(recording: Any) -> None:
    raw = recording["response"].encode()
    if b'"error":' in raw:
        with pytest.raises(BadAnswer):
            ADAPTER.answer(raw, f.Form([]))
        return

    whole = ADAPTER.answer(raw, f.Form([]))

    assert whole.choices[0].parts
    assert whole.usage is not None
    with pytest.raises(BadAnswer):
        ADAPTER.answer(raw[: raw.index(b'"finish_reason":"')], f.Form([]))
