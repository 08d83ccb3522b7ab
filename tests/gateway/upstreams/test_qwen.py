"""Qwen's dialect: thinking by a switch and a budget, and answers that only come as streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.pricing import Usage
from gateway import form as f
from gateway.formats.chat import Chat
from gateway.passages.native_chat import NativeChat
from gateway.upstreams.openai_chat import OpenAIChat
from tests.gateway.attempts import ask, attempt, channel, model

HELLO = f.Message("user", [f.Text("hi")])
QWEN = channel("alibaba", "qwen")


def sent(form: f.Form, *traits: str) -> dict[str, Any]:
    prepared = OpenAIChat().prepare(form, attempt(channel=QWEN, model=model(traits=frozenset(traits))))
    body: dict[str, Any] = json.loads(prepared.body)
    return body


@pytest.mark.parametrize(
    ("reasoning", "fields"),
    [
        (f.Reasoning(), {}),
        (f.Reasoning("none"), {"enable_thinking": False}),
        (f.Reasoning("low"), {"enable_thinking": True, "thinking_budget": 4_096}),
        (f.Reasoning("high"), {"enable_thinking": True}),
        (f.Reasoning(budget_tokens=500), {"enable_thinking": True, "thinking_budget": 500}),
    ],
)
def test_thinking_is_switched(reasoning: f.Reasoning, fields: dict[str, Any]) -> None:
    body = sent(f.Form([HELLO], reasoning=reasoning))

    assert {key: value for key, value in body.items() if "thinking" in key} == fields
    assert body.get("stream") == (True if fields.get("enable_thinking") else None)


@pytest.mark.parametrize(
    ("reasoning", "trait", "budget"),
    [
        (f.Reasoning("high"), "streaming", 100),
        (f.Reasoning(budget_tokens=9_000), "streaming", 100),
        (f.Reasoning(budget_tokens=50), "streaming", 50),
        (f.Reasoning(), "thinks_by_default", 100),
        (f.Reasoning("none"), "thinks_by_default", None),
        (f.Reasoning(), "streaming", None),
    ],
)
def test_a_bound_on_the_answer_bounds_the_thoughts(
    reasoning: f.Reasoning, trait: str, budget: int | None
) -> None:
    body = json.loads(
        OpenAIChat()
        .prepare(
            f.Form([HELLO], reasoning=reasoning),
            attempt(channel=QWEN, model=model(traits=frozenset({trait})), output_bound=100),
        )
        .body
    )

    assert (body["max_tokens"], body.get("thinking_budget")) == (100, budget)


def test_a_model_that_only_streams_is_asked_for_a_stream_with_its_usage() -> None:
    body = sent(f.Form([HELLO]), "streams_only")

    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_what_was_streamed_becomes_a_whole_for_a_client_that_asked_for_one() -> None:
    chunks: list[dict[str, Any]] = [
        {"id": "q", "created": 5, "model": "m", "choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]},
        {"id": "q", "created": 5, "model": "m", "choices": [{"index": 0, "delta": {"content": "yes"}, "finish_reason": "stop"}]},
        {"id": "q", "created": 5, "model": "m", "choices": [], "usage": {
            "prompt_tokens": 2_000, "completion_tokens": 9, "total_tokens": 2_009,
            "prompt_tokens_details": {"cached_tokens": 200, "cache_creation_input_tokens": 1_500},
            "completion_tokens_details": {"reasoning_tokens": 4},
        }},
    ]  # fmt: skip
    stream = (
        b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    )
    asked = ask(
        Chat(), {"model": "m", "messages": [{"role": "user", "content": "hi"}], "enable_thinking": True}
    )

    answer = NativeChat().answer(stream, attempt(asked, channel=QWEN))

    message = json.loads(answer.body)["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("yes", "hm")
    assert (answer.usage, answer.finish_reason) == (Usage(2_000, 200, 1_500, 9, 4), "stop")


def test_a_mark_for_the_cache_stays_where_it_was() -> None:
    marked = f.Form([f.Message("system", [f.Text("long", "5m")]), HELLO])

    assert sent(marked)["messages"][0]["content"] == [
        {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    ]
    assert sent(f.Form([HELLO], tools=[f.WebSearch()]))["enable_search"] is True
