"""However many race for a wallet, it serves exactly what it can pay, and nobody upstream is asked for more.

In full (``--full``): 4,000 requests of eight processes through eight gateways, on a balance for exactly 500.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from fastanchor.lib.money import NANOS_PER_CENT
from tests.live.product import LiveProduct
from tests.money.crowd import Plan, answers_to
from tests.money.sizes import body_that_costs


@pytest.fixture
def crowded(request: pytest.FixtureRequest, tmp_path: Path, *, is_full: bool) -> Iterator[LiveProduct]:
    """Return the running product; in full another one, with eight gateway processes."""
    if not is_full:
        yield request.getfixturevalue("product")
        return
    with LiveProduct(
        tmp_path / "crowded",
        database_url=os.environ["DATABASE_URL"],
        redis_url=os.environ["REDIS_URL"],
        gateways=8,
        # Eight gateways and as many clients on a few cores are kept waiting for their turn, not for Valkey.
        environment={"FASTANCHOR_VALKEY_TIMEOUT_MS": "30000"},
    ) as product:
        yield product


@pytest.mark.timeout(900)
def test_a_crowd_is_served_exactly_as_far_as_the_wallet_reaches(
    crowded: LiveProduct, tmp_path: Path, seed: int, *, is_full: bool
) -> None:
    processes, requests, paid = (8, 4_000, 500) if is_full else (2, 400, 50)
    chance = Random(seed)
    cents = chance.randint(1, 3)
    organization, key = crowded.new_customer(plan="enterprise", credit_cents=cents * paid)
    # Slow enough that they overlap: while one runs, what it will cost is only held.
    body = body_that_costs(cents * NANOS_PER_CENT, f"tokens=1 first_ms={chance.randint(100, 1_500)}")
    plan = Plan(list(crowded.base_urls), key, body.decode(), requests // processes, str(seed), 0)

    came = answers_to(plan, processes=processes, folder=tmp_path)

    assert came == {"200": paid, "402 insufficient_quota": requests - paid}
    crowded.wait_settled(organization, rows=paid, within_s=60)
    asked = sum(len(sandbox.log()) for sandbox in crowded.sandboxes)
    records = crowded.usage_rows(organization)
    assert (len(records), asked) == (paid, paid)
    assert {(row["outcome"], row["cost_nano"], row["hold_nano"]) for row in records} == {
        ("completed", cents * NANOS_PER_CENT, cents * NANOS_PER_CENT)
    }
    assert crowded.balance(organization) == 0
    sys.stdout.write(
        f"seed {seed}, {processes} processes, {len(crowded.base_urls)} gateways: {dict(came)}, asked {asked}\n"
    )
