"""PostgreSQL is gone, stands still, or is locked: known keys are served from memory, Valkey and spool.

In full (``--full``): for five minutes each.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.faults.conftest import Storm
from tests.faults.load import ask, load
from tests.faults.proxy import Faults
from tests.live.programs import wait_until
from tests.money.raw import chat_body

# The product is started for the first of these tests.
pytestmark = pytest.mark.timeout(300)


@contextmanager
def _gone(storm: Storm) -> Iterator[None]:
    storm.to_postgresql.down()
    yield
    storm.to_postgresql.heal()


@contextmanager
def _still(storm: Storm) -> Iterator[None]:
    storm.to_postgresql.faults = Faults(is_stalled=True)
    yield
    storm.to_postgresql.heal()


@contextmanager
def _locked(storm: Storm) -> Iterator[None]:
    with psycopg.connect(storm.product.database_url) as connection:
        # In the order of a settlement, which would be in a deadlock with us otherwise.
        connection.execute(
            "LOCK TABLE billing_wallet, billing_usagerecord, accounts_apikey IN ACCESS EXCLUSIVE MODE"
        )
        yield


@pytest.mark.timeout(1800)
def test_known_keys_are_served_while_postgresql_is_away(storm: Storm, *, is_full: bool) -> None:
    product = storm.product
    organization, key = product.new_customer(plan="enterprise", credit_cents=100_000)
    before, rows = product.balance(organization), 0
    body = chat_body("Hello [[sandbox tokens=3 delay_ms=5]]")

    for breaks in (_gone, _still, _locked):
        stranger = product.new_key(organization)
        assert {asyncio.run(ask(url, key, body)).status for url in product.base_urls} == {200}
        with load(product.base_urls, key, body, clients=4, pause_s=0.1) as found:
            time.sleep(0.3)
            with breaks(storm):
                began = time.monotonic()
                time.sleep(300 if is_full else 1.2)
                met = asyncio.run(ask(product.base_url, stranger, body))
            ended = time.monotonic()
            time.sleep(0.3)

        assert found.statuses().keys() == {200}, (breaks.__name__, found.statuses())
        assert met.status == 503
        assert any(began < one.at < ended for one in found.told)
        rows += len(found.told) + 2
        product.wait_settled(organization, rows=rows, within_s=30)
        settled_after_s = time.monotonic() - ended
        took = sorted(one.took_s for one in found.told)
        sys.stdout.write(
            f"{breaks.__name__}: {len(took)} requests, p99 {took[len(took) * 99 // 100]:.3f} s, "
            f"all settled {settled_after_s:.1f} s later\n"
        )

    records = product.usage_rows(organization)
    assert len(records) == rows
    assert product.balance(organization) == before - sum(row["cost_nano"] for row in records)
    product.command("billing_verify")


def test_few_look_ups_wait_for_a_database_that_stands_still(storm: Storm) -> None:
    product = storm.product
    organization = product.new_organization(plan="enterprise", credit_cents=1_000)
    strangers = [product.new_key(organization) for _ in range(40)]
    body = chat_body("Hello [[sandbox tokens=1]]")
    statuses: list[int] = []

    async def crowd() -> None:
        told = await asyncio.gather(*(ask(product.base_url, key, body) for key in strangers * 3))
        statuses.extend(one.status for one in told)

    with _locked(storm):
        asking = threading.Thread(target=lambda: asyncio.run(crowd()))
        asking.start()
        time.sleep(1.5)
        with psycopg.connect(product.database_url) as connection:
            waiting = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
                "AND query LIKE '%accounts_apikey%'"
            ).fetchone()
        asking.join()

    assert set(statuses) == {503}
    assert waiting is not None
    assert 0 < waiting[0] <= 16
    wait_until(
        lambda: asyncio.run(ask(product.base_url, strangers[0], body)).status == 200,
        what="strangers are known again",
    )
