"""OpenAI's client in front of Anthropic's Messages: what a chat completion asks for arrives as Anthropic wants it.

The sandbox refuses what Anthropic refuses: turns that do not alternate, budgets above the maximum, missing results.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from gateway.upstreams.wire_names import wire_name
from tests.contract.conftest import Customer
from tests.live.product import LiveProduct

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

CLAUDE = "claude-sonnet-4-20250514"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get.weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "place",
        "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def asked(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"model": CLAUDE, "messages": [{"role": "user", "content": prompt}], **fields}


def sent(product: LiveProduct, nonce: str) -> dict[str, Any]:
    (entry,) = [entry for sandbox in product.sandboxes for entry in sandbox.log(nonce)]
    return dict(entry["body"])


def test_an_answer_is_counted_as_anthropic_counts_it(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    order = "usage_in=100 usage_cached=60 usage_written=30 usage_out=8"
    reply = client.chat.completions.create(**asked(f'[[sandbox text="Yes." {order}]] Is it?'))

    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert reply.choices[0].message.content == "Yes."
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 100 == row["input_tokens"]
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.cached_tokens == 60 == row["cached_tokens"]
    assert row["cache_write_tokens"] == 30
    # 10 fresh at $3.00, 60 read at $0.30, 30 written at $3.75, 8 out at $15.00 a million.
    assert row["cost_nano"] == 10 * 3_000 + 60 * 300 + 30 * 3_750 + 8 * 15_000


@pytest.mark.parametrize("is_stream", [False, True])
def test_tools_keep_their_names_and_calls_their_places(
    client: OpenAI, product: LiveProduct, *, is_stream: bool
) -> None:
    nonce, name = f"chat-tools-{is_stream}", wire_name("get.weather")
    question = asked(
        f'[[sandbox call={name},{name} text="Fine." nonce={nonce}]] Rome and Oslo?',
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get.weather"}},
        parallel_tool_calls=True,
    )

    message = told(client, question, is_stream=is_stream)
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "sun"} for call in message["tool_calls"]
    ]
    history = [
        *question["messages"],
        message,
        results[0],
        {"role": "system", "content": "Hurry."},
        *results[1:],
    ]
    again = told(client, question | {"messages": history, "tool_choice": "auto"}, is_stream=is_stream)

    assert [call["function"]["name"] for call in message["tool_calls"]] == ["get.weather", "get.weather"]
    assert all("city" in json.loads(call["function"]["arguments"]) for call in message["tool_calls"])
    assert again["content"] == "Fine."


def told(client: OpenAI, question: dict[str, Any], *, is_stream: bool) -> dict[str, Any]:
    if not is_stream:
        reply = client.chat.completions.create(**question)
        return dict(reply.choices[0].message.model_dump(exclude_none=True))
    with client.chat.completions.stream(**question) as stream:
        stream.until_done()
        message = stream.get_final_completion().choices[0].message
    return dict(
        message.model_dump(exclude_none=True, exclude={"parsed": True, "tool_calls": {"__all__": {"index"}}})
    )


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_schema_is_kept_by_a_model_that_knows_none(client: OpenAI, *, is_stream: bool) -> None:
    question = asked("[[sandbox]] Where is it?", response_format=SCHEMA)
    if is_stream:
        chunks = list(client.chat.completions.create(**question, stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        reason = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1]
    else:
        choice = client.chat.completions.create(**question).choices[0]
        text, reason = choice.message.content or "", choice.finish_reason

    assert isinstance(json.loads(text)["city"], str)
    assert reason == "stop"


def test_thoughts_are_asked_for_shown_and_counted(client: OpenAI, product: LiveProduct) -> None:
    question = asked(
        "[[sandbox think='Hm, well.' text=Yes. nonce=thoughts]] Is it?",
        reasoning_effort="low",
        temperature=0.5,
    )

    raw = client.chat.completions.with_raw_response.create(**question)
    message = raw.parse().choices[0].message

    assert message.content == "Yes."
    assert message.model_dump()["reasoning_content"] == "Hm, well."
    assert sent(product, "thoughts")["thinking"] == {"type": "enabled", "budget_tokens": 2_048}
    assert raw.headers["x-fa-dropped"] == "temperature"


@pytest.mark.parametrize(
    ("order", "reason"), [("length", "length"), ("refuse=1", "content_filter"), ("tokens=2", "stop")]
)
def test_reasons_are_translated(client: OpenAI, order: str, reason: str) -> None:
    chunks = list(client.chat.completions.create(**asked(f"[[sandbox {order}]] Go on."), stream=True))

    assert chunks[-1].choices[0].finish_reason == reason


def test_what_anthropic_cannot_do_is_refused_by_the_parameters_name(client: OpenAI) -> None:
    for fields, param in (({"n": 2}, "n"), ({"logprobs": True}, "logprobs"), ({"stop": ["\n"]}, "stop")):
        with pytest.raises(BadRequestError) as refused:
            client.chat.completions.create(**asked("Hi.", **fields))
        assert refused.value.param == param
