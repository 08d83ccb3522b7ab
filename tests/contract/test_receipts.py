"""What an answer says it cost is what the record, the receipt and the wallet say, on every way through the gateway."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.contract.conftest import Customer
from tests.live.product import LiveProduct

pytestmark = pytest.mark.timeout(180)

# Served by OpenAI's protocol, by Anthropic's, by Google's and by chat completions: native for one format each.
MODELS = ("gpt-4o", "claude-sonnet-4-20250514", "gemini-3.0-pro", "deepseek-v4-flash")
_ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "Tell me a lot. Thank you."}]}
PATHS: dict[str, dict[str, Any]] = {
    "/chat/completions": _ASKED,
    "/messages": {**_ASKED, "max_tokens": 2_000},
    "/responses": {"input": "Tell me a lot. Thank you.", "store": False},
    "/completions": {"prompt": "Tell me a lot. Thank you."},
}


def usages(text: str) -> list[dict[str, Any]]:
    """Return every usage that a stream tells, in turn."""
    events = [
        json.loads(line[6:], parse_float=Decimal) for line in text.splitlines() if line.startswith("data: {")
    ]
    told = [event.get("usage") or (event.get("response") or {}).get("usage") for event in events]
    return [usage for usage in told if usage]


def receipt(http: httpx2.Client, request_id: str) -> dict[str, Any]:
    """Return a receipt, asking again as its 404 advises."""
    until = time.monotonic() + 20
    while (answer := http.get(f"/generations/{request_id}")).status_code == 404:
        assert answer.headers["retry-after"] == "1"
        assert time.monotonic() < until
        time.sleep(0.1)
    return dict(answer.json()["data"])


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", MODELS)
def test_answer_record_receipt_and_wallet_name_the_same_cost(
    http: httpx2.Client, product: LiveProduct, customer: Customer, model: str, path: str, *, is_stream: bool
) -> None:
    before = product.balance(customer.organization)
    body = {"model": model, "stream": is_stream, **PATHS[path]}
    if is_stream and path in ("/chat/completions", "/completions"):
        body["stream_options"] = {"include_usage": True}

    answer = http.post(path, json=body)

    assert answer.status_code == 200, answer.text
    if is_stream:
        usage = usages(answer.text)[-1]
        assert "x-fa-cost-nano" not in answer.headers
    else:
        usage = json.loads(answer.content, parse_float=Decimal)["usage"]
        assert answer.headers["x-fa-cost-nano"] == str(usage["cost_nano_usd"])
    cost = usage["cost_nano_usd"]
    product.wait_settled(customer.organization, rows=1)
    (record,) = product.usage_rows(customer.organization)
    shown = receipt(http, answer.headers["x-request-id"])
    assert cost > 0
    assert usage["cost"] * 10**9 == cost
    assert record["cost_nano"] == cost == shown["charged_nano_usd"]
    assert before - product.balance(customer.organization) == cost
    assert (
        shown["cost_pico_usd"]
        == record["cost_picos"]
        == sum(line["count"] * line["rate_pico_usd"] for line in shown["lines"])
    )
    assert shown["adjustment"] is None
    assert (shown["model"], shown["outcome"], shown["attempts"]) == (model, "completed", 1)


def test_an_embedding_tells_its_cost(http: httpx2.Client, product: LiveProduct, customer: Customer) -> None:
    answer = http.post("/embeddings", json={"model": "text-embedding-3-small", "input": ["one", "two"]})

    product.wait_settled(customer.organization, rows=1)
    (record,) = product.usage_rows(customer.organization)
    usage = answer.json()["usage"]
    assert usage["cost_nano_usd"] == int(answer.headers["x-fa-cost-nano"]) == record["cost_nano"]


def test_the_sdks_hand_the_cost_on(product: LiveProduct, customer: Customer, client: OpenAI) -> None:
    chat = client.chat.completions.create(model="gpt-4o", **_ASKED)
    response = client.responses.create(model="gpt-4o", input="hi")
    origin = product.base_url.removesuffix("/v1")
    with Anthropic(base_url=origin, api_key=customer.key, max_retries=0) as anthropic:
        message = anthropic.messages.create(model="gpt-4o", max_tokens=99, **_ASKED)
        with anthropic.messages.stream(model="gpt-4o", max_tokens=99, **_ASKED) as stream:
            streamed = stream.get_final_message()

    for usage in (chat.usage, response.usage, message.usage):
        assert usage is not None
        assert usage.model_extra is not None
        assert usage.model_extra["cost_nano_usd"] > 0
        assert isinstance(usage.model_extra["cost"], float)
    assert streamed.usage.output_tokens == message.usage.output_tokens


def test_a_stored_response_keeps_the_cost_it_was_answered_with(client: OpenAI, http: httpx2.Client) -> None:
    response = client.responses.create(model="gpt-4o", input="hi")

    assert http.get(f"/responses/{response.id}").json()["usage"] == json.loads(response.to_json())["usage"]


def test_a_receipt_is_its_organizations_alone(product: LiveProduct, http: httpx2.Client) -> None:
    answer = http.post("/chat/completions", json={"model": "gpt-4o", **_ASKED})
    name = answer.headers["x-request-id"]
    receipt(http, name)
    _, strangers_key = product.new_customer()

    seen = http.get(f"/generations/{name}", headers={"authorization": f"Bearer {strangers_key}"})

    assert seen.status_code == 404
    assert seen.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("name", ["nonsense", "req_" + "0" * 22, "req_" + "z" * 22, "req_%00"])
def test_what_can_have_no_receipt_is_not_worth_another_look(http: httpx2.Client, name: str) -> None:
    answer = http.get(f"/generations/{name}")

    assert answer.status_code == 404
    assert "retry-after" not in answer.headers
    assert answer.json()["error"]["param"] == "request_id"


def test_what_failed_is_free_and_its_receipt_says_why(
    http: httpx2.Client, product: LiveProduct, customer: Customer
) -> None:
    answer = http.post("/chat/completions", json={"model": "gpt-4o", "messages": []})

    assert answer.status_code == 400
    assert "x-fa-cost-nano" not in answer.headers
    assert product.usage_rows(customer.organization) == []


def test_credits_are_the_wallet(http: httpx2.Client, product: LiveProduct, customer: Customer) -> None:
    cost = int(http.post("/chat/completions", json={"model": "gpt-4o", **_ASKED}).headers["x-fa-cost-nano"])
    product.wait_settled(customer.organization, rows=1)

    told = json.loads(http.get("/credits").content, parse_float=Decimal)["data"]

    assert told["total_nano_usd"] == product.balance(customer.organization) == 10 * 10**9 - cost
    assert Decimal(told["total"]) * 10**9 == told["available_nano_usd"] == told["total_nano_usd"]
    assert (told["held"], told["held_nano_usd"]) == ("0.000000000", 0)
    assert told["total_usage"] * 10**9 == cost
    assert told["total_credits"] == 10


def test_a_key_knows_its_limits_and_what_remains_of_its_budgets(
    http: httpx2.Client, product: LiveProduct, customer: Customer
) -> None:
    options = ("--name=Laptop", "--rpm=7", "--budget-cents=100", "--models=gpt-4o")
    key = {"authorization": f"Bearer {product.new_key(customer.organization, *options)}"}
    answer = http.post("/chat/completions", json={"model": "gpt-4o", **_ASKED}, headers=key)
    cost = int(answer.headers["x-fa-cost-nano"])
    product.wait_settled(customer.organization, rows=1)

    told = json.loads(http.get("/key", headers=key).content, parse_float=Decimal)["data"]

    assert (told["label"], told["plan"], told["is_free"]) == ("Laptop", "payg", False)
    assert told["allowed_models"] == ["gpt-4o"]
    assert told["limits"]["requests_per_minute"] == 7
    assert told["limits"]["tokens_per_minute"] > 7
    assert told["budgets"]["lifetime"] == {
        "limit": "1.000000000",
        "limit_nano_usd": 10**9,
        "spent": f"0.{cost:09d}",
        "spent_nano_usd": cost,
        "remaining": f"0.{10**9 - cost:09d}",
        "remaining_nano_usd": 10**9 - cost,
        "resets_at": None,
    }
    assert told["budgets"]["month"]["limit"] is None
    assert told["budgets"]["month"]["spent_nano_usd"] == cost
    assert told["member_budgets"] is None
    assert {one["spent_nano_usd"] for one in told["organization_budgets"].values()} == {cost}
    assert {
        told["organization_budgets"][window]["resets_at"][-14:] for window in ("day", "week", "month")
    } == {"T00:00:00.000Z"}
    assert (told["limit"], told["limit_remaining"] * 10**9) == (1, 10**9 - cost)
