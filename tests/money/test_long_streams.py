"""What is held for a stream is there until its end.

In full (``--full``): a stream of twenty minutes, twenty times as long as a lease.
"""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from billing.holds import known_holds
from fastanchor.lib.money import NANOS_PER_CENT
from tests.live.product import LiveProduct
from tests.money.raw import chat_body, volley
from tests.money.sizes import OUTPUT_NANO


@pytest.mark.timeout(1_800)
async def test_nobody_gets_what_a_stream_holds(product: LiveProduct, *, is_full: bool) -> None:
    tokens, delay_ms, every_s = (1_200, 1_000, 5.0) if is_full else (1_200, 3, 0.2)
    organization, key = product.new_customer(plan="enterprise", credit_cents=2)
    body = chat_body(f"[[sandbox tokens={tokens} delay_ms={delay_ms}]]", stream=True, max_tokens=tokens)
    began, refused = time.monotonic(), 0
    # Not until its very end, when it is settled before its client knows.
    surely_runs_until = began + 0.8 * tokens * delay_ms / 1_000

    running = asyncio.create_task(volley(product.base_urls[:1], key, body, 1))
    held: dict[str, int] = {}
    while not held:
        await asyncio.sleep(0.01)
        held = known_holds(product.valkey, organization)
    while time.monotonic() < surely_runs_until:
        # It asks for as much again, and that much would be there without the hold.
        ((status, _),) = await volley(product.base_urls[1:], key, body, 1)
        assert status == 402
        refused += 1
        await asyncio.sleep(every_s)
    ((status, answer),) = await running
    lasted_s = time.monotonic() - began

    assert (status, answer.count(b"[DONE]")) == (200, 1)
    assert refused >= 1
    product.wait_settled(organization, rows=1)
    (row,) = product.usage_rows(organization)
    assert (row["outcome"], row["output_tokens"], row["hold_nano"]) == ("completed", tokens, *held.values())
    assert tokens * OUTPUT_NANO < row["cost_nano"] <= row["hold_nano"]
    assert product.balance(organization) == 2 * NANOS_PER_CENT - row["cost_nano"]
    sys.stdout.write(f"a stream of {lasted_s:.0f} s kept its hold against {refused} others\n")
