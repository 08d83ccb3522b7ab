"""A caller who hangs up leaves exactly one usage record, and it costs what was used or relayed."""

from __future__ import annotations

import time

import pytest

from tests.live.product import LiveProduct
from tests.live.programs import wait_until
from tests.money.raw import chat_body, hang_up_after, leave_after
from tests.money.sizes import INPUT_NANO, OUTPUT_NANO

TOKENS = 40


@pytest.mark.parametrize("events", [1, 2, TOKENS // 2, TOKENS, TOKENS + 1, TOKENS + 3])
async def test_a_drained_stream_costs_what_its_upstream_reported(product: LiveProduct, events: int) -> None:
    organization, key = product.new_customer()
    body = chat_body(f"[[sandbox tokens={TOKENS} delay_ms=40]]", stream=True, max_tokens=100)

    assert await hang_up_after(product.base_url, key, body, events) == events

    product.wait_settled(organization, rows=1)
    (row,) = product.usage_rows(organization)
    assert row["output_tokens"] == TOKENS
    assert row["cost_nano"] == row["input_tokens"] * INPUT_NANO + TOKENS * OUTPUT_NANO
    assert not row["is_estimated"]
    # With the last token in hand, the end may come before the hang-up is noticed.
    assert row["outcome"] == "client_left" or events >= TOKENS
    assert product.balance(organization) == 10_000_000_000 - row["cost_nano"]


async def test_a_stream_too_long_to_drain_costs_input_and_what_was_relayed(product: LiveProduct) -> None:
    organization, key = product.new_customer()
    body = chat_body("[[sandbox tokens=2000 delay_ms=20]]", stream=True, max_tokens=4_000)

    await hang_up_after(product.base_url, key, body, 11)

    product.wait_settled(organization, rows=1)
    (row,) = product.usage_rows(organization)
    assert (row["outcome"], row["is_estimated"]) == ("client_left", True)
    # The first event carries only the role; words may count for more than one token.
    assert 10 <= row["output_tokens"] < 60
    assert row["cost_nano"] == row["input_tokens"] * INPUT_NANO + row["output_tokens"] * OUTPUT_NANO


async def test_the_upstream_is_let_go_when_the_time_to_drain_is_over(product: LiveProduct) -> None:
    _, key = product.new_customer()
    body = chat_body("[[sandbox tokens=5000 delay_ms=20 nonce=drain1]]", stream=True, max_tokens=6_000)

    await hang_up_after(product.base_url, key, body, 3)
    left_at = time.monotonic()

    def is_let_go() -> bool:
        return any(
            entry["outcome"] == "aborted" for each in product.sandboxes for entry in each.log("drain1")
        )

    wait_until(is_let_go, what="the sandbox notices", within_s=8)

    assert time.monotonic() - left_at < 6


async def test_a_whole_answer_whose_caller_left_is_paid_as_reported(product: LiveProduct) -> None:
    organization, key = product.new_customer()
    body = chat_body("[[sandbox tokens=7 first_ms=800]]", max_tokens=100)

    await leave_after(product.base_url, key, body, 0.3)

    product.wait_settled(organization, rows=1)
    (row,) = product.usage_rows(organization)
    assert (row["outcome"], row["output_tokens"], row["is_estimated"]) == ("client_left", 7, False)
