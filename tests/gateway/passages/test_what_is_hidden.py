"""What a native passage of chat keeps to itself, and what it refuses to pass on in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.pricing import Usage
from gateway.formats.chat import Chat
from gateway.passages.native_chat import NativeChat
from gateway.upstreams.base import CannotExpress
from tests.gateway.attempts import ask, attempt, channel

HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
PASSAGE = NativeChat()
# OpenRouter tells what it takes from us beside the tokens.
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
COSTS = {"cost": 0.001, "cost_details": {"upstream_inference_cost": 0.0009}, "is_byok": False}


def completion(**fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "ho"}, "finish_reason": "stop"}
    return json.dumps(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 7,
            "model": "theirs",
            "choices": [choice],
            **fields,
        }
    ).encode()


def test_nobody_learns_what_another_gateway_charges_us() -> None:
    one = attempt(ask(Chat(), HELLO), channel=channel("openrouter"))

    answer = PASSAGE.answer(completion(usage=USAGE | COSTS, service_tier="flex"), one)

    told = json.loads(answer.body)
    assert told["usage"] == USAGE
    assert "service_tier" not in told
    assert answer.usage == Usage(3, 0, 0, 2, 0)


def test_nobody_learns_it_from_a_stream_either() -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    stream = PASSAGE.stream(attempt(ask(Chat(), HELLO | options), channel=channel("openrouter")))
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "theirs"}
    said = {"index": 0, "delta": {"content": "ho"}, "finish_reason": "stop"}

    passed = stream.feed(json.dumps(head | {"choices": [said]}).encode())
    passed += stream.feed(json.dumps(head | {"choices": [], "usage": USAGE | COSTS}).encode())
    told = (passed + stream.closing(Usage(3, 0, 0, 2, 0))).decode()

    assert '"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}' in told
    assert "cost" not in told
    assert "is_byok" not in told


def test_a_search_is_refused_where_a_server_has_none() -> None:
    asked = ask(Chat(), HELLO | {"web_search_options": {}})

    with pytest.raises(CannotExpress) as refused:
        PASSAGE.prepare(attempt(asked, channel=channel("own")))

    assert refused.value.field == "web_search"
