"""What each provider's server is told, and what it is spared."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
