"""Chat completions as a client's format: any body becomes a form or a refusal, and every answer has OpenAI's shape."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from catalog.pricing import Usage
from gateway import form as f
from gateway.errors import InvalidRequest, UpstreamError
from gateway.events import (
    Began,
    Choice,
    Cited,
    Done,
    Event,
    Finished,
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
from gateway.formats.chat import Chat
from gateway.formats.chat_form import reasoning_of
from tests.gateway.attempts import ask, attempt

FORMAT = Chat()
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
USAGE = Usage(9, 3, 0, 4, 2)
CITED = Cited("https://x", "X", 0, 3)
LOGPROBS = msgspec.Raw(b'[{"token":"a","logprob":-0.5,"bytes":null,"top_logprobs":[]}]')
STREAM: tuple[Event, ...] = (
    Began("up_1", 5),
    ThinkingDelta("hm"),
    ThinkingDelta("more", starts_part=True),
    ThinkingSealed("s", "anthropic"),
    Searched("w1", "q"),
    TextDelta("a", logprobs=LOGPROBS),
    CITED,
    RefusalDelta("no"),
    ToolBegan(0, "c1", "look", seal="g"),
    ToolDelta(0, "{}"),
    Finished("tool_calls"),
    Reported(USAGE),
    Done(),
)


def chunks(raw: bytes) -> list[Any]:
    *events, done, end = raw.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b"")
    return [
        TypeAdapter(ChatCompletionChunk).validate_json(each.removeprefix(b"data: "), strict=True)
        for each in events
    ]


def test_every_chunk_has_openais_shape() -> None:
    asked = ask(FORMAT, HELLO | {"stream": True, "stream_options": {"include_usage": True}})
    writer = FORMAT.writer(attempt(asked))

    told = chunks(writer.write(STREAM) + writer.closing(USAGE))

    deltas = [each.choices[0].delta for each in told[:-1]]
    assert deltas[0].role == "assistant"
    assert (
        "".join(each.model_extra.get("reasoning_content", "") for each in deltas if each.model_extra)
        == "hm\n\nmore"
    )
    assert "".join(each.content or "" for each in deltas) == "a"
    assert told[-2].choices[0].finish_reason == "tool_calls"
    assert told[-1].usage is not None
    assert told[-1].usage.total_tokens == 13
    assert len({each.id for each in told}) == 1


def test_every_answer_has_openais_shape() -> None:
    parts: list[Any] = [
        f.Thinking("hm"), Searched("w1"), f.Text("a"), f.Refusal("no"), f.ToolCall("c1", "look", ""),
        f.ToolCall("c2", "patch", "x", is_custom=True),
    ]  # fmt: skip
    result = Result(
        [Choice(parts, "tool_calls", citations=[CITED], logprobs=LOGPROBS), Choice([], "stop")], USAGE
    )

    body = FORMAT.render(result, USAGE, attempt(ask(FORMAT, HELLO)))

    told = TypeAdapter(ChatCompletion).validate_json(body, strict=True)
    message = told.choices[0].message
    assert (message.content, message.refusal) == ("a", "no")
    assert message.annotations is not None
    assert (message.annotations[0].url_citation.url, told.choices[1].message.content) == ("https://x", "")
    assert [call.id for call in message.tool_calls or ()] == ["c1", "c2"]


@pytest.mark.parametrize(
    "said", [{"reasoning": {"exclude": True}}, {"include_reasoning": False}, {"reasoning_format": "hidden"}]
)
def test_thoughts_are_hidden_from_who_does_not_want_them(said: dict[str, Any]) -> None:
    one = attempt(ask(FORMAT, HELLO | {"stream": True} | said))
    whole = FORMAT.render(Result([Choice([f.Thinking("hm"), f.Text("a")], "stop")], USAGE), USAGE, one)

    streamed = FORMAT.writer(one).write(STREAM)

    assert b"reasoning_content" not in whole + streamed


def test_clients_of_functions_are_answered_in_the_words_of_old() -> None:
    said = HELLO | {"functions": [{"name": "look", "parameters": {}}], "stream": True}
    one = attempt(ask(FORMAT, said))
    calls: list[Any] = [f.ToolCall("c1", "look", '{"a":1}'), f.ToolCall("c2", "look", "{}")]
    whole = FORMAT.render(Result([Choice(calls, "tool_calls")], USAGE), USAGE, one)
    writer = FORMAT.writer(one)
    streamed = writer.write(
        [
            ToolBegan(0, "c1", "look"), ToolDelta(0, '{"a":'), ToolBegan(1, "c2", "look"), ToolDelta(1, "{}"),
            ToolDelta(0, "1}"), Finished("tool_calls"),
        ]
    )  # fmt: skip

    choice = TypeAdapter(ChatCompletion).validate_json(whole, strict=True).choices[0]
    assert choice.message.function_call is not None
    assert (choice.message.function_call.arguments, choice.message.tool_calls) == ('{"a":1}', None)
    assert choice.finish_reason == "function_call"
    told = [each.choices[0] for each in chunks(streamed + writer.closing(USAGE))]
    called = [each.delta.function_call for each in told if each.delta.function_call]
    assert [each.name for each in called] == ["look", None, None]
    assert "".join(each.arguments or "" for each in called) == '{"a":1}'
    assert not any(each.delta.tool_calls for each in told)
    assert told[-1].finish_reason == "function_call"
    assert one.form.parallel_tool_calls is False


def test_a_cut_names_each_open_choice_and_a_failure_is_no_end() -> None:
    writer = FORMAT.writer(attempt(ask(FORMAT, HELLO | {"stream": True, "n": 2})))
    writer.write([TextDelta("a"), Finished("stop", 0)])

    (last,) = chunks(writer.cut(USAGE))
    failure = writer.failure(UpstreamError("It broke."))

    assert [(each.index, each.finish_reason) for each in last.choices] == [(1, "length")]
    assert b"[DONE]" not in failure
    assert json.loads(failure.removeprefix(b"data: "))["error"]["code"] == "upstream_error"


@pytest.mark.parametrize(
    ("said", "reasoning"),
    [
        ({}, f.Reasoning()),
        ({"reasoning_effort": "none"}, f.Reasoning("none", is_enabled=False)),
        ({"reasoning_effort": "default"}, f.Reasoning()),
        ({"reasoning": {"effort": "low"}}, f.Reasoning("low")),
        ({"reasoning": {"max_tokens": 700, "enabled": True}}, f.Reasoning(None, 700, is_enabled=True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, f.Reasoning(None, 9, is_enabled=True)),
        ({"thinking": {"type": "disabled"}}, f.Reasoning(is_enabled=False)),
        ({"enable_thinking": True, "thinking_budget": 5}, f.Reasoning(None, 5, is_enabled=True)),
        ({"chat_template_kwargs": {"enable_thinking": False}}, f.Reasoning(is_enabled=False)),
    ],
)
def test_thoughts_are_asked_for_in_anyones_words(said: dict[str, Any], reasoning: f.Reasoning) -> None:
    asked = ask(FORMAT, HELLO | said)

    assert reasoning_of(asked.body) == asked.form().reasoning == reasoning  # type: ignore[attr-defined]


def test_a_search_is_a_tool_that_is_counted() -> None:
    options = {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Ulm"}},
    }

    asked = ask(FORMAT, HELLO | {"web_search_options": options})

    assert asked.form().tools == [f.WebSearch(context_size="low", location={"city": "Ulm"})]
    assert asked.prompt.has_search
    assert asked.most_units.searches >= 1


_NAMES = st.sampled_from(
    ["role", "content", "name", "type", "text", "tool_calls", "id", "function", "arguments", "custom", "input",
     "extra_content", "google", "thought_signature", "reasoning_content", "image_url", "url", "file", "cache_control",
     "allowed_tools", "tools", "mode", "format", "grammar", "parameters", "schema", "json_schema", "tool_call_id"]
)  # fmt: skip
_WORDS = st.sampled_from(
    ["user", "assistant", "tool", "function", "text", "custom", "allowed_tools", "json_schema", "x"]
)
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(_ANY, st.dictionaries(_NAMES, _ANY, max_size=4))
def test_what_was_accepted_becomes_a_form_or_a_refusal(value: Any, extra: dict[str, Any]) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tool = {"type": "function", "function": {"name": "f"} | extra} | extra
    for fields in (
        {"messages": [{"role": "user", "content": "x"} | extra]},
        {"messages": [{"role": "assistant", "content": value, "tool_calls": [call | extra]} | extra]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"} | extra]}]},
        {"tools": [tool | {"type": "function"}], "tool_choice": value},
        {
            "tools": [{"type": "custom", "custom": {"name": "f"} | extra}],
            "tool_choice": {"type": "allowed_tools"} | extra,
        },
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n"} | extra}},
    ):
        with contextlib.suppress(InvalidRequest):
            ask(FORMAT, HELLO | fields).form()
