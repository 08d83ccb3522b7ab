"""No crowd gets more than its wallet holds, and a stream ends where the money does."""

from __future__ import annotations

import json

import pytest
from openai import APIStatusError, OpenAI

from fastanchor.lib.money import NANOS_PER_CENT
from tests.live.product import LiveProduct
from tests.money.raw import chat_body, volley
from tests.money.sizes import INPUT_NANO, OUTPUT_NANO, estimated_input


def body_that_holds(nanos: int, prompt: str) -> bytes:
    """Return a request whose hold is exactly that much: the prompt is padded, the rest is ``max_tokens``."""
    while estimated_input(prompt) * INPUT_NANO % OUTPUT_NANO:
        prompt += "."
    rest = nanos - estimated_input(prompt) * INPUT_NANO
    return chat_body(prompt, max_tokens=rest // OUTPUT_NANO)


@pytest.mark.timeout(180)
async def test_of_two_hundred_at_once_exactly_ten_are_admitted_twenty_times_in_a_row(
    product: LiveProduct,
) -> None:
    body = body_that_holds(NANOS_PER_CENT, "Slowly. [[sandbox tokens=1 first_ms=1500]]")
    for _ in range(20):
        organization, key = product.new_customer(credit_cents=10)

        answers = await volley(product.base_urls, key, body, 200)

        statuses = [status for status, _ in answers]
        assert (statuses.count(200), statuses.count(402)) == (10, 190), set(statuses)
        product.wait_settled(organization, rows=10)
        rows = product.usage_rows(organization)
        assert len(rows) == 10
        assert (
            product.balance(organization) == 10 * NANOS_PER_CENT - sum(row["cost_nano"] for row in rows) >= 0
        )


async def test_the_refusal_names_both_numbers(product: LiveProduct) -> None:
    _, key = product.new_customer(credit_cents=5)

    ((status, answer),) = await volley(product.base_urls[:1], key, chat_body("hi", max_tokens=16_000), 1)

    error = json.loads(answer)["error"]
    assert (status, error["code"]) == (402, "insufficient_quota")
    assert "$0.050000000" in error["message"]
    assert "16000 output tokens" in error["message"]


def test_an_upstream_that_goes_on_is_cut_where_the_money_ends(product: LiveProduct) -> None:
    organization, key = product.new_customer(credit_cents=3)
    prompt = "Go on for ever. [[sandbox tokens=100000 ignore_max=1]]"

    with OpenAI(base_url=product.base_url, api_key=key, max_retries=0) as client:
        chunks = list(
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": prompt}], stream=True
            )
        )

    assert chunks[-1].choices[0].finish_reason == "length"
    product.wait_settled(organization, rows=1)
    (row,) = product.usage_rows(organization)
    assert (row["outcome"], row["is_estimated"]) == ("cut", True)
    affordable = (3 * NANOS_PER_CENT - estimated_input(prompt) * INPUT_NANO) // OUTPUT_NANO
    assert affordable - 8 <= row["output_tokens"] <= affordable
    assert 0 <= product.balance(organization) < estimated_input(prompt) * INPUT_NANO + 8 * OUTPUT_NANO


def test_an_upstream_that_honours_its_bound_spends_the_wallet_and_not_more(product: LiveProduct) -> None:
    organization, key = product.new_customer(credit_cents=1)
    prompt = "Go on for ever. [[sandbox tokens=100000]]"

    with OpenAI(base_url=product.base_url, api_key=key, max_retries=0) as client:
        chunks = list(
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": prompt}], stream=True
            )
        )
        assert chunks[-1].choices[0].finish_reason == "length"
        product.wait_settled(organization, rows=1)
        balance = product.balance(organization)
        assert 0 <= balance < estimated_input(prompt) * INPUT_NANO + OUTPUT_NANO

        with pytest.raises(APIStatusError) as refusal:
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": prompt}], max_tokens=2_000
            )
    assert refusal.value.status_code == 402


def test_a_low_balance_neither_locks_out_a_second_request_nor_can_be_overspent(product: LiveProduct) -> None:
    organization, key = product.new_customer(credit_cents=2)

    with OpenAI(base_url=product.base_url, api_key=key, max_retries=0) as client:
        slow = client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "[[sandbox tokens=30 delay_ms=50]]"}],
            max_tokens=1_000,
            stream=True,
        )
        next(iter(slow))
        answer = client.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=[{"role": "user", "content": "short [[sandbox tokens=5]]"}]
        )
        bound = int(answer.headers["x-fa-max-tokens"])
        assert 256 <= bound < 1_000
        list(slow)

    product.wait_settled(organization, rows=2)
    assert product.balance(organization) >= 0


@pytest.mark.timeout(180)
async def test_of_a_crowd_as_many_are_admitted_as_a_daily_budget_reaches_for(product: LiveProduct) -> None:
    body = body_that_holds(NANOS_PER_CENT, "Slowly. [[sandbox tokens=1 first_ms=1500]]")
    organization, key = product.new_customer(credit_cents=1_000)
    budget(product, organization, "day", cents=10)

    answers = await volley(product.base_urls, key, body, 200)

    statuses = [status for status, _ in answers]
    assert (statuses.count(200), statuses.count(402)) == (10, 190), set(statuses)
    refusals = {json.loads(answer)["error"]["message"] for status, answer in answers if status == 402}
    assert all("of the daily budget of this organization is available" in message for message in refusals)
    assert all(
        "It starts anew at 00:00 UTC. Raise the budget in the dashboard" in message for message in refusals
    )
    product.wait_settled(organization, rows=10)


def test_a_stream_is_cut_where_a_budget_ends(product: LiveProduct) -> None:
    organization, key = product.new_customer(credit_cents=1_000)
    budget(product, organization, "week", cents=3)
    prompt = "Go on for ever. [[sandbox tokens=100000 ignore_max=1]]"

    with OpenAI(base_url=product.base_url, api_key=key, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": prompt}], stream=True
        )
        chunks = list(stream)

    assert chunks[-1].choices[0].finish_reason == "length"
    product.wait_settled(organization, rows=1)
    (row,) = product.usage_rows(organization)
    assert (row["outcome"], row["is_estimated"]) == ("cut", True)
    affordable = (3 * NANOS_PER_CENT - estimated_input(prompt) * INPUT_NANO) // OUTPUT_NANO
    assert affordable - 8 <= row["output_tokens"] <= affordable
    assert row["cost_nano"] <= 3 * NANOS_PER_CENT
    spent = product.rows("SELECT cost_nano FROM billing_spend WHERE organization_id = %s", organization)
    assert {each["cost_nano"] for each in spent} == {row["cost_nano"]}


def budget(product: LiveProduct, organization: str, window: str, *, cents: int) -> None:
    """Give an organization a budget before it is first asked for."""
    query = f"UPDATE accounts_organization SET budget_{window}_nano = %s WHERE id = %s RETURNING id"
    assert product.rows(query, cents * NANOS_PER_CENT, organization)
