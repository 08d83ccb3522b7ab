"""The official Anthropic client against the running product: one client format, every provider's own protocol."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, beta_tool
from anthropic.types import Message, MessageParam, TextBlock, ThinkingBlock, ToolParam, ToolUseBlock

from tests.contract.conftest import Customer
from tests.live.product import LiveProduct

# The first test of a run starts the product.
pytestmark = [
    pytest.mark.timeout(180),
    # The SDK says so of the product page's Claude.
    pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning"),
]

CLAUDE = "claude-sonnet-4-20250514"
# Each is served in its own provider's protocol: Messages, Responses, Gemini's, DeepSeek's and Qwen's chat.
MODELS = (CLAUDE, "gpt-4o", "gemini-3.0-pro", "deepseek-v4-flash", "qwen-3.7-max")
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
_PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738"
        "550000000049454e44ae426082"
    )
).decode()


@pytest.fixture
def client(product: LiveProduct, customer: Customer) -> Iterator[Anthropic]:
    """Return the SDK as the customer uses it, but without its retries, so that one call is one call."""
    with new_client(product, customer.key) as client:
        yield client


def new_client(product: LiveProduct, key: str) -> Anthropic:
    return Anthropic(base_url=product.base_url.removesuffix("/v1"), api_key=key, max_retries=0)


def asked(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"model": CLAUDE, "max_tokens": 2_000, "messages": [{"role": "user", "content": prompt}], **fields}


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if isinstance(block, TextBlock))


def seen(product: LiveProduct, nonce: str) -> dict[str, Any]:
    (entry,) = [entry for sandbox in product.sandboxes for entry in sandbox.log(nonce)]
    return dict(entry)


@pytest.mark.parametrize("model", MODELS)
def test_a_message_is_answered_counted_and_charged_once(
    client: Anthropic, product: LiveProduct, customer: Customer, model: str
) -> None:
    before = product.balance(customer.organization)
    prompt = '[[sandbox text="So it is." usage_in=50 usage_out=7]] Say so.'
    message = client.messages.create(**asked(prompt, model=model, system="Be brief."))

    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert text_of(message) == "So it is."
    assert (message.type, message.role, message.model, message.stop_reason) == (
        "message",
        "assistant",
        model,
        "end_turn",
    )
    assert message.id.startswith("msg_")
    assert message._request_id == row["request_id"]
    assert message.usage.input_tokens == 50 == row["input_tokens"]
    assert message.usage.output_tokens == row["output_tokens"] >= 7
    assert row["cost_nano"] == before - product.balance(customer.organization) > 0


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_the_same_as_its_pieces(
    client: Anthropic, product: LiveProduct, customer: Customer, model: str
) -> None:
    prompt = '[[sandbox text="One — two, três." pings comments]] Count.'
    with client.messages.stream(**asked(prompt, model=model)) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()

    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert "".join(pieces) == text_of(message) == "One — two, três."
    assert len(pieces) > 1
    assert message.stop_reason == "end_turn"
    assert message.model == model
    assert (message.usage.input_tokens, message.usage.output_tokens) == (
        row["input_tokens"],
        row["output_tokens"],
    )
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_tool_is_called_and_its_result_understood(
    client: Anthropic, model: str, *, is_stream: bool
) -> None:
    prompt = '[[sandbox call=get_weather,get_weather text="Both are fine." think="Hm."]] Rome and Oslo?'
    question = asked(prompt, model=model, tools=[WEATHER])
    if model != "gpt-4o":
        question["thinking"] = {"type": "enabled", "budget_tokens": 1_024}

    first = told(client, question, is_stream=is_stream)
    calls = [block for block in first.content if isinstance(block, ToolUseBlock)]
    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"fine in {call.input}"} for call in calls
    ]
    history: list[MessageParam] = [
        *question["messages"],
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    second = told(client, question | {"messages": history}, is_stream=is_stream)

    assert first.stop_reason == "tool_use"
    assert len(calls) == 2
    assert len({call.id for call in calls}) == 2
    assert all(call.name == "get_weather" and isinstance(call.input["city"], str) for call in calls)
    # The sandbox refuses a turn whose signatures did not come back as they were.
    assert text_of(second) == "Both are fine."
    if model != "gpt-4o":
        assert [
            block.thinking for block in first.content if isinstance(block, ThinkingBlock) and block.thinking
        ] == ["Hm."]


def told(client: Anthropic, question: dict[str, Any], *, is_stream: bool) -> Message:
    if not is_stream:
        message = client.messages.create(**question)
        assert isinstance(message, Message)
        return message
    with client.messages.stream(**question) as stream:
        return stream.get_final_message()


@beta_tool
def get_weather(city: str) -> str:
    """Tells the weather."""
    return f"fine in {city}"


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_the_sdk_runs_the_tools_itself(client: Anthropic, model: str, *, is_stream: bool) -> None:
    question = asked('[[sandbox call=get_weather text="It is fine."]] Rome?', model=model)

    # It asks for a thread of Anthropic's first, and must go on without one.
    runner: Any = client.beta.messages.tool_runner(**question, tools=[get_weather], stream=is_stream)
    replies = [reply.get_final_message() if is_stream else reply for reply in runner]

    assert [reply.stop_reason for reply in replies] == ["tool_use", "end_turn"]
    assert replies[-1].content[-1].text == "It is fine."


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_an_answer_ends_before_a_stop_sequence(client: Anthropic, model: str, *, is_stream: bool) -> None:
    question = asked('[[sandbox text="one two three four"]] Count.', model=model, stop_sequences=[" three"])

    message = told(client, question, is_stream=is_stream)

    assert text_of(message) == "one two"
    assert message.stop_reason in {"stop_sequence", "end_turn"}


@pytest.mark.parametrize("model", MODELS)
def test_a_bound_is_kept_and_told(client: Anthropic, model: str) -> None:
    message = client.messages.create(
        **asked("[[sandbox think=0 tokens=50]] Go on.", model=model, max_tokens=20)
    )

    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens <= 20


@pytest.mark.parametrize("model", [CLAUDE, "gpt-4o", "gemini-3.0-pro"])
def test_a_picture_arrives(client: Anthropic, product: LiveProduct, model: str) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PIXEL}}
    nonce = f"picture-{model}"
    words = {"type": "text", "text": f'[[sandbox text="A dot." nonce={nonce}]] What is it?'}

    message = client.messages.create(
        **asked("", model=model, messages=[{"role": "user", "content": [picture, words]}])
    )

    assert text_of(message) == "A dot."
    assert _PIXEL in str(seen(product, nonce)["body"])


def test_what_claude_gets_is_what_was_asked(client: Anthropic, product: LiveProduct) -> None:
    client.messages.create(
        **asked(
            "[[sandbox nonce=native]] Hi.",
            system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            metadata={"user_id": "u1"},
            extra_headers={"anthropic-beta": "context-management-2025-06-27"},
        )
    )

    entry = seen(product, "native")
    assert entry["body"]["system"] == [
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    ]
    assert entry["body"]["metadata"] == {"user_id": "u1"}
    headers = {name.lower(): value for name, value in dict(entry["headers"]).items()}
    assert headers["x-api-key"] == "sk-sandbox"
    assert "authorization" not in headers
    assert headers["anthropic-beta"] == "context-management-2025-06-27"


@pytest.mark.parametrize("model", ["gpt-4o", "gemini-3.0-pro", "qwen-3.7-max"])
def test_structured_answers_fit_their_schema(client: Anthropic, model: str) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    wanted: Any = {"format": {"type": "json_schema", "schema": schema}}

    message = client.messages.create(**asked("[[sandbox json]] Where?", model=model, output_config=wanted))

    assert text_of(message).startswith("{")
    assert "city" in text_of(message)


def test_errors_are_raised_as_their_classes(client: Anthropic, product: LiveProduct) -> None:
    with (
        pytest.raises(anthropic.AuthenticationError) as unknown,
        new_client(product, "fa_live_nobody") as stranger,
    ):
        stranger.messages.create(**asked("Hi."))
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**asked("Hi.", model="no-such-model"))
    with pytest.raises(anthropic.BadRequestError) as bad:
        client.messages.create(**asked("Hi.", extra_body={"surprise": 1}))
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.messages.create(
            **asked("Hi.", tools=[{"type": "code_execution_20250825", "name": "code_execution"}])
        )

    assert unknown.value.body["error"]["type"] == "authentication_error"  # type: ignore[index]
    assert unknown.value.request_id is not None
    assert unknown.value.request_id.startswith("req_")
    assert "surprise" in bad.value.message
    assert "code_execution_20250825" in refused.value.message


def test_an_empty_wallet_is_a_matter_of_billing(product: LiveProduct) -> None:
    _, key = product.new_customer(credit_cents=1)
    with pytest.raises(anthropic.APIStatusError) as refused, new_client(product, key) as client:
        client.messages.create(**asked("Hi.", max_tokens=20_000))

    assert refused.value.status_code == 402
    assert refused.value.body["error"]["type"] == "billing_error"  # type: ignore[index]


@pytest.mark.parametrize("model", [CLAUDE, "deepseek-v4-flash"])
def test_a_provider_that_refuses_or_fails_is_told_apart(client: Anthropic, model: str) -> None:
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**asked("[[sandbox error=400]] Hi.", model=model))
    with pytest.raises(anthropic.InternalServerError) as failed:
        client.messages.create(**asked("[[sandbox error=500]] Hi.", model=model))

    assert failed.value.body["error"]["type"] == "api_error"  # type: ignore[index]


@pytest.mark.parametrize("order", ["close_after=3", "error_after=3"])
@pytest.mark.parametrize("model", [CLAUDE, "deepseek-v4-flash"])
def test_a_stream_that_breaks_never_ends_cleanly(client: Anthropic, model: str, order: str) -> None:
    pieces: list[str] = []
    with (
        pytest.raises(anthropic.APIStatusError) as broken,
        client.messages.stream(
            **asked(f"[[sandbox think=0 tokens=20 {order}]] Go on.", model=model)
        ) as stream,
    ):
        pieces.extend(stream.text_stream)

    assert pieces
    assert broken.value.body["error"]["type"] == "api_error"  # type: ignore[index]


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted_without_a_charge(
    client: Anthropic, product: LiveProduct, customer: Customer, model: str
) -> None:
    question = {"model": model, "messages": [{"role": "user", "content": "How long is this? " * 20}]}
    before = product.balance(customer.organization)

    few = client.messages.count_tokens(**question)  # type: ignore[arg-type]
    many = client.messages.count_tokens(**question, tools=[WEATHER], system="Be brief. " * 40)  # type: ignore[arg-type]

    assert 50 < few.input_tokens < many.input_tokens < 1_000
    product.wait_settled(customer.organization)
    assert product.balance(customer.organization) == before
    assert product.usage_rows(customer.organization) == []


def test_a_count_is_refused_like_a_message(client: Anthropic, product: LiveProduct) -> None:
    question: Any = {"model": CLAUDE, "messages": [{"role": "user", "content": "Hi."}]}

    with pytest.raises(anthropic.AuthenticationError), new_client(product, "fa_live_nobody") as stranger:
        stranger.messages.count_tokens(**question)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(**question | {"model": "no-such-model"})
    with pytest.raises(anthropic.BadRequestError):
        client.messages.count_tokens(**question | {"messages": []})


def test_claude_counts_tokens_itself(client: Anthropic, product: LiveProduct) -> None:
    question: Any = {"model": CLAUDE, "messages": [{"role": "user", "content": "How long? " * 30}]}
    headers = {"x-api-key": "sk-sandbox", "anthropic-version": "2023-06-01"}

    counted = client.messages.count_tokens(**question)
    answer = product.sandboxes[0].http.post(
        "/anthropic/v1/messages/count_tokens", json=question, headers=headers
    )
    guessed = client.messages.count_tokens(**question | {"model": "gpt-4o"})

    assert counted.input_tokens == answer.json()["input_tokens"] != guessed.input_tokens


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("model", [CLAUDE, "gpt-4o", "gemini-3.0-pro"])
def test_searches_are_done_by_the_provider_and_billed(
    client: Anthropic, product: LiveProduct, customer: Customer, model: str, *, is_stream: bool
) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    question = asked('[[sandbox search="rain" text="It rains."]] Weather?', model=model, tools=[search])

    message = told(client, question, is_stream=is_stream)
    history = [
        *question["messages"],
        {"role": "assistant", "content": message.content},
        *question["messages"],
    ]
    again = told(client, question | {"messages": history}, is_stream=is_stream)

    product.wait_settled(customer.organization, rows=2)
    assert text_of(message) == text_of(again) == "It rains."
    assert [row["searches"] for row in product.usage_rows(customer.organization)] == [1, 1]
    assert message.usage.server_tool_use is not None
    assert message.usage.server_tool_use.web_search_requests == 1


def test_a_conversation_may_move_from_model_to_model(client: Anthropic) -> None:
    order = 'think="Hm." call=get_weather text="All fine."'
    turns: list[Any] = [{"role": "user", "content": f"[[sandbox {order}]] Rome?"}]
    thinking: Any = {"type": "enabled", "budget_tokens": 1_024}
    for model in ("gemini-3.0-pro", CLAUDE, "deepseek-v4-flash", "gpt-4o", "gemini-3.0-pro", CLAUDE):
        extra: dict[str, Any] = {} if model == "gpt-4o" else {"thinking": thinking}
        message = None
        for _ in range(2):
            message = told(
                client,
                {"model": model, "max_tokens": 2_000, "messages": turns, "tools": [WEATHER], **extra},
                is_stream=True,
            )
            turns.append({"role": "assistant", "content": message.content})
            calls = [block for block in message.content if isinstance(block, ToolUseBlock)]
            if calls:
                results = [
                    {"type": "tool_result", "tool_use_id": call.id, "content": "sun"} for call in calls
                ]
                turns.append({"role": "user", "content": results})
        assert message is not None
        assert text_of(message) == "All fine.", model
        turns.append({"role": "user", "content": f"[[sandbox {order}]] And Oslo?"})


def test_the_beta_surface_and_older_clients_are_served_alike(
    client: Anthropic, product: LiveProduct, customer: Customer
) -> None:
    question = asked("[[sandbox text=Yes. nonce=beta]] Is it?")
    message = client.beta.messages.create(**question, betas=["context-management-2025-06-27"])
    older = {"x-api-key": customer.key, "anthropic-version": "2023-06-01"}
    answer = httpx2.post(
        f"{product.base_url}/messages", json=asked("[[sandbox text=Yes.]] Is it?"), headers=older
    )

    assert [block.text for block in message.content if block.type == "text"] == ["Yes."]
    assert answer.json()["content"] == [{"type": "text", "text": "Yes."}]
    assert answer.headers["request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/messages", "/messages/count_tokens"])
def test_what_is_no_message_is_refused_in_anthropics_shape(
    product: LiveProduct, customer: Customer, path: str
) -> None:
    headers = {"x-api-key": customer.key, "content-type": "application/json"}
    url = product.base_url + path
    wrong_method = httpx2.get(url, headers=headers)
    wrong_type = httpx2.post(url, content=b"x", headers=headers | {"content-type": "text/plain"})
    no_key = httpx2.post(url, json={})

    for answer, status, kind in (
        (wrong_method, 405, "invalid_request_error"),
        (wrong_type, 415, "invalid_request_error"),
        (no_key, 401, "authentication_error"),
    ):
        assert answer.status_code == status
        assert answer.json()["error"]["type"] == kind
        assert answer.json()["request_id"] == answer.headers["request-id"]


def test_a_count_is_estimated_where_the_provider_gives_none(client: Anthropic, product: LiveProduct) -> None:
    question: Any = {"model": CLAUDE, "messages": [{"role": "user", "content": "How long? " * 30}]}
    exact = client.messages.count_tokens(**question).input_tokens
    for sandbox in product.sandboxes:
        sandbox.fail(500, count=-1)

    guessed = client.messages.count_tokens(**question).input_tokens

    assert guessed != exact
    assert guessed == client.messages.count_tokens(**question | {"model": "gpt-4o"}).input_tokens


def test_a_count_is_a_request_by_the_limits(product: LiveProduct, customer: Customer) -> None:
    key = product.new_key(customer.organization, "--rpm=2")
    question: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi."}]}
    with new_client(product, key) as client:
        client.messages.count_tokens(**question)
        client.messages.count_tokens(**question)
        with pytest.raises(anthropic.RateLimitError) as refused:
            client.messages.count_tokens(**question)

    assert refused.value.response.headers["retry-after"]
