"""What each provider's server is told, and what it is spared."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from gateway import form as f
from gateway.formats.chat import Chat
from gateway.passages.native_chat import NativeChat
from gateway.upstreams.compatible import DIALECTS, PLAIN, dialect_of
from tests.gateway.attempts import ask, attempt, channel, model
from tests.gateway.upstreams.recordings import needed, recorded

HELLO = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PASSAGE = NativeChat()
ROUTING = {"models", "provider", "transforms", "route", "plugins"}
# Groq's own tools and OpenRouter's, which stand in some recordings, are not offered here.
HOSTS = {
    "api.groq.com": "groq", "api.mistral.ai": "mistral", "api.cerebras.ai": "cerebras", "openrouter.ai": "openrouter",
    "api.z.ai": "zai", "api.openai.com": "openai",
}  # fmt: skip


def sent(provider: str, fields: dict[str, Any], *traits: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    one = attempt(
        ask(Chat(), HELLO | fields), channel=channel(provider), model=model(traits=frozenset(traits))
    )
    prepared = PASSAGE.prepare(one)
    body: dict[str, Any] = json.loads(prepared.body)
    del body["model"], body["messages"]
    return body, prepared.dropped


@pytest.mark.parametrize(
    ("provider", "traits", "fields", "body"),
    [
        ("groq", [], {"reasoning_effort": "xhigh"}, {"reasoning_effort": "high", "reasoning_format": "parsed"}),
        ("groq", [], {"reasoning_effort": "none"}, {"reasoning_effort": "none"}),
        ("groq", ["thinks_by_default"], {"reasoning_effort": "low"},
         {"reasoning_effort": "default", "reasoning_format": "parsed"}),
        ("groq", [], {"reasoning_format": "raw"}, {"reasoning_format": "raw"}),
        ("cerebras", [], {"clear_thinking": False, "reasoning_effort": "none"},
         {"clear_thinking": False, "reasoning_effort": "none"}),
        ("mistral", [], {"reasoning_effort": "low", "seed": 3}, {"reasoning_effort": "high", "random_seed": 3}),
        ("mistral", [], {"reasoning": {"enabled": False}}, {"reasoning_effort": "none"}),
        ("openrouter", [], {"reasoning": {"enabled": True}}, {"reasoning": {"enabled": True}}),
        ("openrouter", [], {"reasoning_effort": "high"}, {"reasoning": {"effort": "high"}}),
        ("openrouter", [], {"thinking": {"type": "enabled", "budget_tokens": 900}}, {"reasoning": {"max_tokens": 900}}),
        ("zai", [], {"reasoning_effort": "low"}, {"thinking": {"type": "enabled"}}),
        ("moonshot", [], {"chat_template_kwargs": {"thinking": False}}, {"thinking": {"type": "disabled"}}),
        ("google", [], {"reasoning_effort": "minimal"}, {"reasoning_effort": "minimal"}),
        ("openai", [], {"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}),
        ("openai", [], {"reasoning_effort": "xhigh", "max_tokens": 9},
         {"reasoning_effort": "xhigh", "max_completion_tokens": 9}),
        ("own", [], {"chat_template_kwargs": {"enable_thinking": False}, "top_k": 3, "max_completion_tokens": 9},
         {"chat_template_kwargs": {"enable_thinking": False}, "top_k": 3, "max_completion_tokens": 9}),
    ],
)  # fmt: skip
def test_thoughts_are_asked_for_in_each_providers_words(
    provider: str, traits: list[str], fields: dict[str, Any], body: dict[str, Any]
) -> None:
    assert sent(provider, fields, *traits)[0] == body


def test_what_a_server_does_not_know_is_left_out_and_named() -> None:
    tuned = {"top_k": 5, "min_p": 0.1, "verbosity": "low", "user": "u", "metadata": {"a": "b"}}

    assert sent("openai", tuned) == ({"verbosity": "low", "user": "u"}, ("top_k", "min_p", "metadata"))
    assert sent("google", tuned)[0] == {}
    assert sent("own", tuned) == ({key: tuned[key] for key in tuned if key != "metadata"}, ("metadata",))
    assert sent("openai", {"temperature": 0.5}, "no_sampling") == ({}, ("temperature",))
    assert sent("mistral", {"stream": True})[0] == {"stream": True}


CUSTOM = {"type": "custom", "custom": {"name": "sh"}}
CALLED = {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [
    {"id": "c1", "type": "function", "function": {"name": "sh", "arguments": '{"input":"ls"}'}}
]}  # fmt: skip
SERVERS = ["deepseek", "alibaba", "xai", "together", "groq", "minimax"]


def answered(provider: str, fields: dict[str, Any]) -> tuple[Any, Any]:
    """Return a whole answer's choice, and the last delta and reason of a stream, in which a function was called."""
    one = attempt(ask(Chat(), HELLO | fields), channel=channel(provider))
    end = {"index": 0, "finish_reason": "tool_calls"}
    body = json.dumps({"id": "up", "model": "m", "choices": [end | {"message": CALLED}]}).encode()
    stream = PASSAGE.stream(one)
    told = stream.feed(json.dumps({"id": "up", "model": "m", "choices": [end | {"delta": CALLED}]}).encode())
    return json.loads(PASSAGE.answer(body, one).body)["choices"][0], told


@pytest.mark.parametrize("provider", SERVERS)
def test_custom_tools_become_functions_and_their_calls_what_they_were(provider: str) -> None:
    body, _ = sent(provider, {"tools": [CUSTOM], "tool_choice": "auto"})
    whole, streamed = answered(provider, {"tools": [CUSTOM]})

    assert [tool["type"] for tool in body["tools"]] == ["function"]
    assert whole["message"]["tool_calls"][0]["custom"] == {"name": "sh", "input": "ls"}
    assert b'"custom":{"input":"ls"}' in streamed


@pytest.mark.parametrize("provider", SERVERS)
def test_functions_of_old_become_tools_and_their_calls_what_they_were(provider: str) -> None:
    body, _ = sent(provider, {"functions": [{"name": "sh"}]})
    whole, streamed = answered(provider, {"functions": [{"name": "sh"}]})

    assert "functions" not in body
    assert whole["message"]["function_call"] == {"name": "sh", "arguments": '{"input":"ls"}'}
    assert b'"function_call":{"name":"sh"' in streamed
    assert b"tool_calls" not in streamed


@pytest.mark.parametrize("provider", ["xai", "openrouter", "google"])
def test_what_only_openai_knows_is_said_otherwise_or_left_out_and_named(provider: str) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    allowed = {"mode": "auto", "tools": [tool]}
    said = {"tools": [tool, {"type": "function", "function": {"name": "g"}}],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed},
            "prediction": {"type": "content", "content": "x"}, "prompt_cache_options": {"mode": "explicit"}}  # fmt: skip

    assert sent(provider, said) == ({"tools": [tool]}, ("prediction", "prompt_cache_options"))
    del said["tools"], said["tool_choice"]
    assert sent(provider, said) == ({}, ("prediction", "prompt_cache_options"))
    assert sent("openai", said) == (said, ())


@pytest.mark.parametrize(
    ("provider", "marked"),
    [("openrouter", {"type": "ephemeral"}), ("alibaba", {"type": "ephemeral"}), ("xai", None)],
)
def test_the_end_of_a_cached_prefix_is_marked_in_each_servers_words(
    provider: str, marked: dict[str, str] | None
) -> None:
    part = {"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    asked = ask(Chat(), HELLO | {"messages": [{"role": "user", "content": [part, part]}]})
    prepared = PASSAGE.prepare(attempt(asked, channel=channel(provider)))

    first = json.loads(prepared.body)["messages"][0]["content"][0]
    assert (first.get("cache_control"), "prompt_cache_breakpoint" in first) == (marked, False)
    assert ("cache" in prepared.dropped) == (marked is None)
    assert asked.form().messages[0].parts == [f.Text("hi", "1h")] * 2


@pytest.mark.parametrize("provider", ["zai", "together", "minimax", "mistral"])
def test_a_developer_is_the_system_where_nobody_knows_developers(provider: str) -> None:
    said = HELLO | {"messages": [{"role": "developer", "content": 'say "role":"developer"'}]}
    bodies = [
        json.loads(PASSAGE.prepare(attempt(ask(Chat(), said), channel=channel(each))).body)["messages"]
        for each in (provider, "openai", "own")
    ]

    assert bodies[0] == [{"role": "system", "content": 'say "role":"developer"'}]
    assert bodies[1:] == [said["messages"]] * 2


@pytest.mark.parametrize("provider", ["deepseek", "xai"])
def test_thoughts_that_the_caller_does_not_want_to_see_are_hidden(provider: str) -> None:
    whole, streamed = answered(provider, {"reasoning": {"exclude": True}})

    assert "reasoning_content" not in whole["message"]
    assert b"reasoning_content" not in streamed


def test_a_whole_answer_is_completed_for_openais_clients() -> None:
    calls = [
        {"function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "b", "type": "function", "function": {"name": "g"}},
    ]
    body = json.dumps(
        {"created": 1.5, "choices": [{"message": {"tool_calls": calls}, "finish_reason": "stop"}]}
    )
    one = attempt(channel=channel("own"))

    told = ChatCompletion.model_validate_json(PASSAGE.answer(body.encode(), one).body, strict=True)

    calls_told: list[Any] = list(told.choices[0].message.tool_calls or ())
    first, second = calls_told
    assert first.type == second.type == "function"
    assert (first.function.arguments, second.function.arguments) == ('{"a":1}', "{}")
    assert (bool(first.id), second.id, told.created, bool(told.id)) == (True, "b", 1, True)


def test_a_server_that_changes_its_models_name_does_not_tell_it() -> None:
    stream = PASSAGE.stream(attempt(ask(Chat(), HELLO | {"stream": True}), channel=channel("own")))
    head = {"id": "up", "object": "chat.completion.chunk", "created": 1}
    said = [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]

    told = [
        stream.feed(json.dumps(head | {"model": name, "choices": said}, separators=(",", ":")).encode())
        for name in ("", "ft:secret", "ft:secret")
    ]

    assert not any(b"secret" in each for each in told)
    assert all(b'"model":"gpt-4o"' in each for each in told)


def test_a_model_that_does_not_reason_is_not_told_how() -> None:
    one = attempt(
        ask(Chat(), HELLO | {"reasoning_effort": "high"}),
        channel=channel("own"),
        model=model(capabilities=frozenset()),
    )

    prepared = PASSAGE.prepare(one)

    assert ("reasoning_effort" in json.loads(prepared.body), prepared.dropped) == (False, ("reasoning",))


def test_thoughts_that_a_client_echoes_do_not_reach_a_server_that_refuses_them() -> None:
    echoed: dict[str, Any] = {
        "role": "assistant", "content": "yes", "refusal": None, "reasoning_content": "hm", "annotations": [],
    }  # fmt: skip
    said = {"messages": [*HELLO["messages"], echoed, {"role": "user", "content": "go on"}]}

    def turn(provider: str) -> Any:
        one = attempt(ask(Chat(), HELLO | said), channel=channel(provider))
        return json.loads(PASSAGE.prepare(one).body)["messages"][1]

    assert turn("mistral") == turn("cerebras") == {"role": "assistant", "content": "yes"}
    assert turn("groq") == {"role": "assistant", "content": "yes", "reasoning": "hm"}
    assert "reasoning_content" not in turn("openai")
    assert turn("own") == echoed


def test_mistral_gets_ids_that_it_takes_and_the_same_for_the_result() -> None:
    call = {
        "id": "call_of_another_provider",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }
    said = {
        "messages": [
            *HELLO["messages"],
            {"role": "assistant", "content": None, "tool_calls": [call, call | {"id": "abcdefgh9"}]},
            {"role": "tool", "tool_call_id": call["id"], "content": "x"},
        ]
    }

    body = json.loads(PASSAGE.prepare(attempt(ask(Chat(), HELLO | said), channel=channel("mistral"))).body)

    first, second = (each["id"] for each in body["messages"][1]["tool_calls"])
    assert (len(first), first.isalnum(), second) == (9, True, "abcdefgh9")
    assert body["messages"][2]["tool_call_id"] == first


def test_an_adapter_that_names_a_dialect_counts_more_than_the_provider() -> None:
    assert dialect_of(channel("own", "deepseek")) is DIALECTS["deepseek"]
    assert dialect_of(channel("deepseek", "openai")) is DIALECTS["deepseek"]
    assert dialect_of(channel("someone", "openai")) is PLAIN


@needed
@pytest.mark.parametrize("recording", [*recorded("compatible/*.json"), *recorded("openai-chat/*.json")])
def test_recorded_requests_arrive_at_their_provider_as_they_were_meant(recording: Any) -> None:
    said = {key: value for key, value in recording["request"].items() if key not in ROUTING | {"moderation"}}
    if any(tool["type"] not in {"function", "custom"} for tool in said.get("tools", ())):
        pytest.skip("the provider's own tools are not offered here")
    provider = HOSTS[recording["endpoint"].split("/")[0]]
    one = attempt(ask(Chat(), said), channel=channel(provider), upstream_model=said["model"])

    body = json.loads(PASSAGE.prepare(one).body)

    for name in ("messages", "tools", "response_format", "stream", "model", "thinking", "clear_thinking"):
        assert _meant(body.get(name)) == _meant(said.get(name)), name
    bound = said.get("max_completion_tokens")
    assert (body.get("max_completion_tokens") or body.get("max_tokens")) == bound
    assert body.get("tool_choice", "auto") == said.get("tool_choice", "auto")


def _meant(value: Any) -> Any:
    """Return a value without what says nothing: nulls, defaults, and a single text that stands in a list."""
    if (
        isinstance(value, list)
        and len(value) == 1
        and isinstance(value[0], dict)
        and value[0].get("type") == "text"
    ):
        return value[0]["text"]
    if isinstance(value, list):
        return [_meant(each) for each in value]
    if isinstance(value, dict):
        kept = {
            key: _meant(each)
            for key, each in value.items()
            if key not in {"clear_thinking", "description"} or each
        }
        return {key: each for key, each in kept.items() if each is not None}
    return value or None
