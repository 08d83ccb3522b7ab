"""The official Python client against the running product: everything that goes well."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.contract.conftest import Customer
from tests.live.product import LiveProduct

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

THE_EIGHT = {
    "gpt-4o",
    "gpt-4.1",
    "claude-sonnet-4-20250514",
    "claude-haiku-4-20250514",
    "gemini-3.0-pro",
    "deepseek-v4-flash",
    "deepseek-v4-pro",
    "qwen-3.7-max",
}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CLOCK: dict[str, Any] = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object"}},
}


def body(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], **fields}


def upstream_entry(product: LiveProduct, nonce: str) -> dict[str, Any]:
    (entry,) = [entry for sandbox in product.sandboxes for entry in sandbox.log(nonce)]
    return dict(entry)


def test_models_are_listed_and_found(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}

    assert set(listed) >= THE_EIGHT
    assert listed["gpt-4o"].object == "model"
    assert listed["gpt-4o"].owned_by == "openai"
    assert client.models.retrieve("gpt-4o") == listed["gpt-4o"]


def test_a_chat_is_answered_counted_and_charged_once(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    before = product.balance(customer.organization)
    reply = client.chat.completions.create(**body("[[sandbox tokens=9]] Explain ledgers."))

    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model == "gpt-4o"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (row["input_tokens"], 9)
    assert (row["output_tokens"], row["outcome"], row["is_estimated"]) == (9, "completed", False)
    assert row["request_id"] == reply._request_id
    # gpt-4o: $2.50 and $10 per million tokens.
    assert row["cost_picos"] == row["input_tokens"] * 2_500_000 + 9 * 10_000_000
    assert before - product.balance(customer.organization) == row["cost_nano"] > 0


def test_a_stream_brings_the_same_text_as_the_whole_answer(client: OpenAI) -> None:
    whole = client.chat.completions.create(**body("Explain ledgers."))
    chunks = list(client.chat.completions.create(**body("Explain ledgers.", stream=True)))

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.choices for chunk in chunks)
    assert {chunk.model for chunk in chunks} == {"gpt-4o"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert len(chunks) > 20


def test_usage_comes_at_the_end_of_a_stream_if_asked_for(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    prompt = "[[sandbox tokens=9]] Explain ledgers."
    chunks = list(
        client.chat.completions.create(**body(prompt, stream=True, stream_options={"include_usage": True}))
    )

    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == row["output_tokens"] == 9
    assert chunks[-1].usage.prompt_tokens == row["input_tokens"]
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_stream_helper_collects_the_answer(client: OpenAI) -> None:
    with client.chat.completions.stream(**body("[[sandbox tokens=9]] Explain ledgers.")) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        reply = stream.get_final_completion()

    assert len([delta for delta in deltas if delta]) == 9
    assert "".join(deltas) == reply.choices[0].message.content


async def test_the_asynchronous_client_chats_and_streams(async_client: AsyncOpenAI) -> None:
    whole = await async_client.chat.completions.create(**body("Explain ledgers."))
    stream = await async_client.chat.completions.create(**body("Explain ledgers.", stream=True))
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == whole.choices[0].message.content


def test_a_conversation_with_a_tool_goes_through(client: OpenAI) -> None:
    fields = body("What is the weather in Paris?", tools=[WEATHER])
    called: Any = client.chat.completions.create(**fields).choices[0]
    (call,) = called.message.tool_calls
    answer = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    fields["messages"] += [called.message.model_dump(exclude_none=True), answer]
    final = client.chat.completions.create(**fields)

    assert called.finish_reason == "tool_calls"
    assert call.type == "function"
    assert json.loads(call.function.arguments)["city"] == "Paris"
    assert final.choices[0].finish_reason == "stop"
    assert final.choices[0].message.content


def test_streamed_tool_calls_go_through_piece_by_piece(client: OpenAI) -> None:
    prompt = "Use get_weather and get_time for Paris."
    with client.chat.completions.stream(**body(prompt, tools=[WEATHER, CLOCK])) as stream:
        pieces = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        message = stream.get_final_completion().choices[0].message

    assert message.tool_calls is not None
    assert [call.function.name for call in message.tool_calls] == ["get_weather", "get_time"]
    assert json.loads(message.tool_calls[0].function.arguments)["city"] == "Paris"
    assert len(pieces) > 5


def test_tool_choice_is_obeyed(client: OpenAI) -> None:
    named: Any = {"type": "function", "function": {"name": "get_time"}}
    reply = client.chat.completions.create(**body("Weather?", tools=[WEATHER, CLOCK], tool_choice=named))
    none = client.chat.completions.create(**body("Weather?", tools=[WEATHER], tool_choice="none"))

    assert reply.choices[0].message.tool_calls[0].function.name == "get_time"
    assert none.choices[0].message.tool_calls is None


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def test_a_structured_answer_is_parsed(client: OpenAI) -> None:
    fields = body("Describe Ada.")
    reply = client.chat.completions.parse(**fields, response_format=Person)

    assert isinstance(reply.choices[0].message.parsed, Person)


def test_two_choices_are_both_answered_and_paid_for(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    fields = body("[[sandbox tokens=9]] Explain ledgers.", n=2)
    reply = client.chat.completions.create(**fields)
    chunks = list(client.chat.completions.create(**fields, stream=True))

    product.wait_settled(customer.organization, rows=2)
    assert [choice.index for choice in reply.choices] == [0, 1]
    assert {chunk.choices[0].index for chunk in chunks} == {0, 1}
    assert [row["output_tokens"] for row in product.usage_rows(customer.organization)] == [18, 18]


@pytest.mark.parametrize("stream", [True, False])
def test_cached_input_and_reasoning_are_counted_apart(
    client: OpenAI, product: LiveProduct, customer: Customer, *, stream: bool
) -> None:
    prompt = "[[sandbox usage_in=4000 usage_cached=1024 tokens=9 think=16]] Think."
    reply = client.chat.completions.create(**body(prompt, stream=stream))
    if stream:
        list(reply)

    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert (row["input_tokens"], row["cached_tokens"]) == (4000, 1024)
    assert (row["output_tokens"], row["reasoning_tokens"]) == (25, 16)
    # gpt-4o: cached input costs half.
    assert row["cost_picos"] == 2976 * 2_500_000 + 1024 * 1_250_000 + 25 * 10_000_000


@pytest.mark.parametrize("bound", ["max_tokens", "max_completion_tokens"])
def test_the_callers_bound_on_output_is_kept(client: OpenAI, bound: str) -> None:
    fields: dict[str, Any] = {bound: 5}
    reply = client.chat.completions.create(**body("[[sandbox tokens=50]] Hello.", **fields))

    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 5


def test_parameters_reach_the_upstream_and_nothing_of_the_caller_does(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    sent = {
        "temperature": 0.5,
        "top_p": 0.25,
        "seed": 7,
        "stop": ["xyz"],
        "presence_penalty": 1.5,
        "user": "ada",
    }
    client.chat.completions.create(
        **body("[[sandbox nonce=n1]] Hello.", **sent, metadata={"team": "blue"}),
        extra_headers={"cookie": "a=b"},
    )

    entry = upstream_entry(product, "n1")
    assert {name: entry["body"].get(name) for name in sent} == sent
    assert entry["body"]["messages"] == [{"role": "user", "content": "[[sandbox nonce=n1]] Hello."}]
    assert "metadata" not in entry["body"]
    assert customer.key not in json.dumps(entry)
    assert entry["headers"]["authorization"] == "Bearer sk-sandbox"
    assert "cookie" not in entry["headers"]
    assert not [name for name in entry["headers"] if name.startswith("x-stainless")]


def test_null_means_that_a_field_was_not_sent(client: OpenAI) -> None:
    names = [
        "tools",
        "tool_choice",
        "response_format",
        "stop",
        "temperature",
        "n",
        "stream",
        "stream_options",
        "metadata",
        "logit_bias",
        "seed",
    ]

    assert client.chat.completions.create(**body("Hello."), extra_body=dict.fromkeys(names)).choices


def test_usage_is_always_asked_for_upstream(client: OpenAI, product: LiveProduct) -> None:
    list(client.chat.completions.create(**body("[[sandbox nonce=n1]] Hello.", stream=True)))

    assert upstream_entry(product, "n1")["body"]["stream_options"]["include_usage"] is True


def test_the_model_is_named_as_the_caller_named_it(client: OpenAI) -> None:
    prompt = "[[sandbox model=gpt-4o-2024-08-06 spaced=1]] Hello."
    whole = client.chat.completions.create(**body(prompt))
    chunks = list(client.chat.completions.create(**body(prompt, stream=True)))

    assert {whole.model, *(chunk.model for chunk in chunks)} == {"gpt-4o"}


def test_a_stream_that_is_hard_to_read_arrives_whole(client: OpenAI) -> None:
    plain = _text(client, "tokens=9")

    assert _text(client, "tokens=9 crlf=1 comments=1 split=1") == plain
    assert len(_text(client, "tokens=1 big_line=300000")) > 300_000
    assert _text(client, "tokens=9 no_done=1") == plain


def _text(client: OpenAI, directive: str) -> str:
    chunks = client.chat.completions.create(**body(f"[[sandbox {directive}]] Hello.", stream=True))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_headers_carry_the_request_id_and_our_limits_not_the_upstreams(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(**body("Hello."))

    assert raw.headers["x-request-id"] == raw.parse()._request_id
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-ratelimit-limit-requests"] == "500"
    assert int(raw.headers["x-ratelimit-remaining-requests"]) < 500
    assert raw.headers["x-ratelimit-limit-tokens"] == "1000000"
    assert int(raw.headers["x-ratelimit-remaining-tokens"]) < 1_000_000
    assert raw.headers["x-ratelimit-reset-requests"].endswith("s")
    assert raw.headers["x-ratelimit-reset-tokens"].endswith("s")
    assert "openai-organization" not in raw.headers


def test_a_streams_headers_keep_proxies_from_holding_it_back(client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(**body("Hello.", stream=True)) as raw:
        text = "".join(raw.iter_text())

    assert raw.headers["content-type"].startswith("text/event-stream")
    assert raw.headers["cache-control"] == "no-cache"
    assert raw.headers["x-accel-buffering"] == "no"
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-ratelimit-limit-requests"] == "500"
    assert text.endswith("data: [DONE]\n\n")
    assert "obfuscation" not in text
    assert "\nid:" not in text
