"""The sandbox as DeepSeek and as Qwen: OpenAI's chat, each with habits of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.live.sandbox import LiveSandbox

RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared/recordings/deepseek"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
}


def _client(sandbox: LiveSandbox, adapter: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=sandbox.base_url_of(adapter), api_key="none needed", max_retries=0) as client:
        yield client


@pytest.fixture
def deepseek(sandbox: LiveSandbox) -> Iterator[OpenAI]:
    """Return the SDK at DeepSeek's address."""
    yield from _client(sandbox, "deepseek")


@pytest.fixture
def qwen(sandbox: LiveSandbox) -> Iterator[OpenAI]:
    """Return the SDK at Qwen's address."""
    yield from _client(sandbox, "qwen")


def body(prompt: str | list[Any], model: str = "deepseek-v4-flash", **fields: Any) -> dict[str, Any]:
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    return {"model": model, "messages": messages, **fields}


def ask(client: OpenAI, prompt: str | list[Any], model: str = "deepseek-v4-flash", **fields: Any) -> Any:
    return client.chat.completions.create(**body(prompt, model, **fields))


def test_deepseek_thinks_unless_told_not_to_and_shows_it(deepseek: OpenAI) -> None:
    off = {"thinking": {"type": "disabled"}}
    thinking = ask(deepseek, "[[sandbox tokens=3]] Hm?")
    quiet = ask(deepseek, "[[sandbox tokens=3]] Hm?", extra_body=off)
    deltas = [
        chunk.choices[0].delta for chunk in ask(deepseek, "[[sandbox think=4 tokens=3]] Hm?", stream=True)
    ]

    assert thinking.choices[0].message.reasoning_content
    assert thinking.usage.completion_tokens_details.reasoning_tokens == 128
    assert quiet.usage.completion_tokens == 3
    assert not hasattr(quiet.choices[0].message, "reasoning_content")
    thoughts = [delta.reasoning_content for delta in deltas if getattr(delta, "reasoning_content", None)]
    assert len(thoughts) == 4
    assert ask(deepseek, "[[sandbox tokens=3]] Hm?", max_tokens=6).usage.completion_tokens <= 6


def test_deepseek_wants_its_thoughts_back_with_a_tool_turn(deepseek: OpenAI) -> None:
    call = ask(deepseek, "What time is it?", tools=[TOOL]).choices[0].message
    answer = call.model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "noon"}
    without = {key: value for key, value in answer.items() if key != "reasoning_content"}
    asked = {"role": "user", "content": "What time is it?"}

    assert ask(deepseek, [asked, answer, result], tools=[TOOL]).choices[0].message.content
    with pytest.raises(openai.BadRequestError, match="must be passed back"):
        ask(deepseek, [asked, without, result], tools=[TOOL])
    off = {"thinking": {"type": "disabled"}}
    assert ask(deepseek, [asked, without, result], tools=[TOOL], extra_body=off)


def test_deepseek_counts_hits_and_misses(deepseek: OpenAI) -> None:
    first, again = (ask(deepseek, "ledger " * 1000 + ending).usage for ending in ("one", "two"))

    assert (first.prompt_cache_hit_tokens, first.prompt_cache_miss_tokens) == (0, first.prompt_tokens)
    assert again.prompt_cache_hit_tokens == again.prompt_tokens_details.cached_tokens >= 1024
    assert again.prompt_cache_hit_tokens + again.prompt_cache_miss_tokens == again.prompt_tokens


def test_deepseek_lacks_what_it_lacks(deepseek: OpenAI) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}

    with pytest.raises(openai.BadRequestError, match="unavailable"):
        ask(deepseek, "Hm?", response_format=schema)
    with pytest.raises(openai.UnprocessableEntityError):
        ask(deepseek, "Hm?", tools=[{"type": "custom", "custom": {"name": "a"}}])
    with pytest.raises(openai.APIStatusError, match="Insufficient Balance") as unpaid:
        ask(deepseek, "[[sandbox error=402]] Hm?")
    assert unpaid.value.status_code == 402


def test_a_busy_deepseek_keeps_the_connection_alive(sandbox: LiveSandbox) -> None:
    prompt = "[[sandbox blank=3 tokens=1]] Hm?"
    whole = sandbox.http.post("/deepseek/chat/completions", json=body(prompt)).text
    stream = sandbox.http.post("/deepseek/chat/completions", json=body(prompt, stream=True)).text

    assert whole.startswith("\n\n\n{")
    assert stream.startswith(": keep-alive\n\n" * 3 + "data: ")


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside the project")
def test_deepseeks_answers_have_the_recorded_keys(deepseek: OpenAI) -> None:
    recorded = [json.loads(file.read_text()) for file in RECORDINGS.glob("*.json")]
    answers = [each["response"] for each in recorded if "choices" in each["response"]]
    usages = {key for answer in answers for key in answer["usage"]}
    messages = {key for answer in answers for key in answer["choices"][0]["message"]}

    reply = ask(deepseek, "What time is it?", tools=[TOOL]).to_dict()

    assert set(reply["usage"]) == usages
    assert set(reply["choices"][0]["message"]) == messages
    assert set(reply) - set(answers[0]) == set()


def test_qwen_thinks_in_streams_only(qwen: OpenAI) -> None:
    on: dict[str, Any] = {"extra_body": {"enable_thinking": True}}

    for model, fields in (("qwen3-32b", {}), ("qwq-plus", {}), ("qwen-3.7-max", on)):
        with pytest.raises(openai.BadRequestError, match="enable_thinking must be set to false") as caught:
            ask(qwen, "Hm?", model, **fields)
        assert caught.value.code == "invalid_parameter_error"
        deltas = [
            chunk.choices[0].delta
            for chunk in ask(qwen, "[[sandbox tokens=2]] Hm?", model, stream=True, **fields)
        ]
        assert sum(bool(getattr(delta, "reasoning_content", None)) for delta in deltas) == 48
    off: dict[str, Any] = {"extra_body": {"enable_thinking": False}}
    assert ask(qwen, "Hm?", "qwen3-32b", **off).choices[0].message.content
    with pytest.raises(openai.BadRequestError, match="must be set to false"):
        ask(qwen, "[[sandbox must_stream]] Hm?", "qwen-3.7-max")


def test_qwen_reports_usage_only_when_asked_and_names_the_request_in_errors(sandbox: LiveSandbox) -> None:
    def text(prompt: str, **fields: Any) -> str:
        return str(
            sandbox.http.post("/qwen/v1/chat/completions", json=body(prompt, "qwen-3.7-max", **fields)).text
        )

    wanted = {"stream_options": {"include_usage": True}}

    assert '"usage"' not in text("Hm?", stream=True)
    assert '"usage":{' in text("Hm?", stream=True, **wanted)
    assert set(json.loads(text("[[sandbox error=429]]"))) == {"error", "request_id"}
    assert json.loads(text("[[sandbox blocked]]"))["error"]["code"] == "data_inspection_failed"


def test_qwen_counts_what_a_mark_writes_to_the_cache(qwen: OpenAI) -> None:
    marked = {"type": "text", "text": "ledger " * 1000, "cache_control": {"type": "ephemeral"}}
    prompt = [{"role": "user", "content": [marked]}]

    first, again = (ask(qwen, prompt, "qwen-3.7-max").usage for _ in range(2))

    assert first.prompt_tokens_details.cache_creation_input_tokens > 1024
    assert first.prompt_tokens_details.cached_tokens == 0
    assert again.prompt_tokens_details.cached_tokens > 1024
