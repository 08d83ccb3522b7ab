"""The official OpenAI client's Responses against the running product: one client format, every provider's own protocol."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.responses import (
    Response,
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseFunctionWebSearch,
    ResponseReasoningItem,
)
from pydantic import BaseModel

from tests.contract.conftest import Customer
from tests.gateway.responses_sdk import check_events, check_response
from tests.live.product import LiveProduct

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

GPT, CLAUDE, GEMINI, DEEPSEEK, QWEN = (
    "gpt-4o",
    "claude-sonnet-4-20250514",
    "gemini-3.0-pro",
    "deepseek-v4-flash",
    "qwen-3.7-max",
)
# Each is served in its own provider's protocol: Responses, Messages, Gemini's, DeepSeek's and Qwen's chat.
MODELS = (GPT, CLAUDE, GEMINI, DEEPSEEK, QWEN)
every_model = pytest.mark.parametrize("model", MODELS)
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
PATCH: dict[str, Any] = {"type": "custom", "name": "apply_patch", "description": "Changes files."}
CRM: dict[str, Any] = {
    "type": "namespace",
    "name": "crm",
    "description": "Customers.",
    "tools": [{"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": False}],
}


def ask(client: OpenAI, prompt: str, model: str = GPT, **fields: Any) -> Response:
    response = client.responses.create(**{"model": model, "input": prompt} | fields)
    assert isinstance(response, Response)
    check_response(response.to_dict(mode="json"))
    return response


def streamed(client: OpenAI, prompt: Any, model: str = GPT, **fields: Any) -> Response:
    """Return the end of a stream whose events are all valid and in order."""
    fields = {"model": model, "input": prompt} | fields
    with client.responses.create(**fields, stream=True) as stream:
        events = [event.to_dict(mode="json") for event in stream]
    numbers = [event["sequence_number"] for event in events]
    # A stream that is cut loses the event for which the money did not reach.
    assert numbers == sorted(set(numbers))
    check_events(events)
    assert events[-1]["type"] in {"response.completed", "response.incomplete"}
    return Response.model_validate(events[-1]["response"])


def seen(product: LiveProduct, nonce: str) -> dict[str, Any]:
    (entry,) = [entry for sandbox in product.sandboxes for entry in sandbox.log(nonce)]
    return dict(entry["body"])


@every_model
def test_a_response_is_answered_counted_and_charged_once(
    client: OpenAI, product: LiveProduct, customer: Customer, model: str
) -> None:
    before = product.balance(customer.organization)
    response = ask(
        client,
        '[[sandbox text="So it is." usage_in=50 usage_out=7]] Say so.',
        model,
        instructions="Be brief.",
    )

    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert response.output_text == "So it is."
    assert (response.status, response.model, response.instructions) == ("completed", model, "Be brief.")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (50, 7)
    assert (row["input_tokens"], row["output_tokens"], row["outcome"]) == (50, 7, "completed")
    assert before - product.balance(customer.organization) == row["cost_nano"]


@every_model
def test_the_helper_of_the_sdk_reads_a_stream_to_its_end(client: OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input='[[sandbox text="One two three."]] Count.') as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()

    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert "response.output_text.delta" in kinds
    assert final.output_text == "One two three."
    assert final.usage is not None
    assert final.usage.output_tokens > 0


@every_model
@pytest.mark.parametrize("answer", [ask, streamed])
def test_a_tool_is_called_and_its_result_comes_back(client: OpenAI, model: str, answer: Any) -> None:
    said: list[Any] = [
        {"role": "user", "content": "[[sandbox call=get_weather]] What is the weather in Paris?"}
    ]
    first = answer(client, said, model, tools=[WEATHER], store=False, include=["reasoning.encrypted_content"])

    (call,) = [item for item in first.output if isinstance(item, ResponseFunctionToolCall)]
    assert call.name == "get_weather"
    assert "city" in json.loads(call.arguments)
    said += [item.to_dict(mode="json") for item in first.output]
    said.append({"type": "function_call_output", "call_id": call.call_id, "output": "Rain."})
    said.append({"role": "user", "content": '[[sandbox text="It rains."]] So?'})
    second = answer(client, said, model, tools=[WEATHER], store=False)

    assert second.output_text == "It rains."


@every_model
@pytest.mark.parametrize("answer", [ask, streamed])
def test_several_tools_are_called_at_once(client: OpenAI, model: str, answer: Any) -> None:
    response = answer(
        client, "[[sandbox call=get_weather calls=3]] Paris, Rome, Oslo?", model, tools=[WEATHER]
    )

    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert len(calls) == len({call.call_id for call in calls}) == 3
    for call in calls:
        assert "city" in json.loads(call.arguments)


@pytest.mark.parametrize("model", [CLAUDE, GEMINI, DEEPSEEK, QWEN])
@pytest.mark.parametrize("answer", [ask, streamed])
def test_thoughts_and_their_seals_survive_a_turn_with_tools(client: OpenAI, model: str, answer: Any) -> None:
    wanted = {
        "tools": [WEATHER],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    said: list[Any] = [
        {"role": "user", "content": '[[sandbox call=get_weather think="I should look."]] Weather in Paris?'}
    ]
    first = answer(client, said, model, **wanted)

    thoughts = [item for item in first.output if isinstance(item, ResponseReasoningItem)]
    assert thoughts
    assert first.usage is not None
    said += [item.to_dict(mode="json") for item in first.output]
    (call,) = [item for item in first.output if isinstance(item, ResponseFunctionToolCall)]
    said.append({"type": "function_call_output", "call_id": call.call_id, "output": "Rain."})
    assert answer(client, said, model, **wanted).status == "completed"


@every_model
@pytest.mark.parametrize("answer", [ask, streamed])
def test_custom_tools_and_namespaces_are_called_by_every_model(
    client: OpenAI, model: str, answer: Any
) -> None:
    fields = {"tools": [PATCH, CRM, WEATHER]}

    patch = answer(client, "[[sandbox call=apply_patch]] Patch it.", model, **fields)
    called = "find" if model == GPT else "crm__find"
    find = answer(client, f"[[sandbox call={called}]] Find it.", model, **fields)

    (custom,) = [item for item in patch.output if isinstance(item, ResponseCustomToolCall)]
    assert custom.name == "apply_patch"
    assert custom.input
    (function,) = [item for item in find.output if isinstance(item, ResponseFunctionToolCall)]
    assert (function.namespace, function.name) == ("crm", "find")


class Verdict(BaseModel):
    """An answer with a shape."""

    verdict: str
    score: int


@every_model
def test_an_answer_has_the_shape_that_was_asked_for(client: OpenAI, model: str) -> None:
    if model == DEEPSEEK:
        # It answers in JSON, but in no given shape.
        with pytest.raises(openai.BadRequestError):
            client.responses.parse(model=model, input="Judge.", text_format=Verdict)
        return

    # To this Claude the shape is that of a tool, which it calls without an order.
    prompt = "Judge." if model == CLAUDE else "[[sandbox json]] Judge."
    response = client.responses.parse(model=model, input=prompt, text_format=Verdict)

    assert isinstance(response.output_parsed, Verdict)


@every_model
@pytest.mark.parametrize("answer", [ask, streamed])
def test_an_answer_that_meets_its_bound_is_incomplete(client: OpenAI, model: str, answer: Any) -> None:
    response = answer(client, "[[sandbox tokens=60]] Go on.", model, max_output_tokens=20)

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


@every_model
def test_a_picture_is_seen_by_models_that_see(client: OpenAI, product: LiveProduct, model: str) -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}
    content = [{"type": "input_text", "text": "[[sandbox nonce=seen]] What is it?"}, picture]
    fields: dict[str, Any] = {"model": model, "input": [{"role": "user", "content": content}]}
    if "deepseek" in model or "qwen" in model:
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(**fields)
        assert caught.value.param == "input"
        return

    client.responses.create(**fields)

    assert "iVBORw0KGgo=" in json.dumps(seen(product, "seen"))


def test_what_an_agent_offers_in_passing_is_left_out_by_name(client: OpenAI) -> None:
    tools: list[Any] = [WEATHER, {"type": "web_search"}, {"type": "local_shell"}]
    raw = client.responses.with_raw_response.create(model=DEEPSEEK, input="Hello.", tools=tools)

    assert raw.headers["x-fa-dropped"] == "tools.web_search, tools.local_shell"
    for forced in ({"type": "web_search"}, {"type": "local_shell"}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=DEEPSEEK, input="Hello.", tools=tools, tool_choice=forced)  # type: ignore[call-overload]
        assert caught.value.param == "tools"


@pytest.mark.parametrize("answer", [ask, streamed])
def test_a_search_is_shown_with_its_sources_and_billed(
    client: OpenAI, product: LiveProduct, customer: Customer, answer: Any
) -> None:
    response = answer(
        client, '[[sandbox search="the weather"]] Look it up.', GPT, tools=[{"type": "web_search"}]
    )

    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert [item for item in response.output if isinstance(item, ResponseFunctionWebSearch)]
    assert row["searches"] == 1


@every_model
@pytest.mark.parametrize("order", ["close_after=12", "error_after=12"])
def test_a_stream_that_breaks_raises(client: OpenAI, model: str, order: str) -> None:
    with (
        pytest.raises(openai.APIError) as caught,
        client.responses.create(
            model=model, input=f"[[sandbox think=0 tokens=40 {order}]] Go on.", stream=True
        ) as stream,
    ):
        for _ in stream:
            pass

    assert caught.value.code == "upstream_error"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 5}, "max_tokens"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools[0].type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    ],
)
def test_what_cannot_be_served_is_refused_by_its_name(
    client: OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": GPT, "input": "hi"} | {"extra_body": fields})  # type: ignore[call-overload]

    assert (caught.value.param, caught.value.code) == (param, "invalid_request")
    assert caught.value.request_id


def test_nothing_is_kept_upstream_and_ids_are_ours(client: OpenAI, product: LiveProduct) -> None:
    response = ask(client, "[[sandbox nonce=kept text=hi]] Hello.", previous_response_id=None)

    body = seen(product, "kept")
    assert body["store"] is False
    assert "previous_response_id" not in body
    assert response.id.startswith("resp_")
    assert response.store is True  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", [GPT, CLAUDE])
def test_a_stream_is_cut_where_the_money_ends_and_says_so(product: LiveProduct, model: str) -> None:
    organization, key = product.new_customer(credit_cents=3)
    with OpenAI(base_url=product.base_url, api_key=key, max_retries=0) as poor:
        response = streamed(poor, "[[sandbox think=0 tokens=100000 ignore_max=1]] Go on.", model)

    product.wait_settled(organization, rows=1)
    (row,) = product.usage_rows(organization)
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text
    assert row["outcome"] == "cut"
    assert product.balance(organization) >= 0
