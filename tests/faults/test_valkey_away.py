"""Valkey is killed, stopped, slowed, emptied, under load: requests are served, and nothing is oversold.

In full (``--full``): outages of 60 s, and 50 restarts amid a crowd.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import httpx2
import pytest

from fastanchor.lib.money import NANOS_PER_CENT
from tests.faults.conftest import Storm
from tests.faults.load import ask, load
from tests.faults.proxy import Faults
from tests.live.programs import wait_until
from tests.money.raw import chat_body, volley
from tests.money.sizes import body_that_costs

# The product is started for the first of these tests.
pytestmark = pytest.mark.timeout(300)
_RECOVERED_S = 30.0


def _kill(storm: Storm) -> None:
    storm.valkey.kill()


def _revive(storm: Storm) -> None:
    storm.valkey.revive()


def _stop(storm: Storm) -> None:
    os.kill(storm.valkey.pid, signal.SIGSTOP)


def _continue(storm: Storm) -> None:
    os.kill(storm.valkey.pid, signal.SIGCONT)


def _slow(storm: Storm) -> None:
    storm.to_valkey.faults = Faults(latency_s=0.2)


def _heal(storm: Storm) -> None:
    storm.to_valkey.heal()


def _wait_for_fair_weather(storm: Storm) -> None:
    wait_until(
        lambda: storm.mode()["is_degraded"] is False, what="Valkey decides again", within_s=_RECOVERED_S
    )


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        pytest.param(_kill, _revive, id="killed"),
        pytest.param(_stop, _continue, id="stopped"),
        pytest.param(_slow, _heal, id="slowed"),
    ],
)
def test_while_valkey_is_away_every_request_is_served_and_every_nano_accounted_for(
    storm: Storm, breaks: Callable[[Storm], None], mends: Callable[[Storm], None], *, is_full: bool
) -> None:
    product = storm.product
    organization, key = product.new_customer(plan="enterprise", credit_cents=100_000)
    body = chat_body("Hello [[sandbox tokens=5 delay_ms=10]]")
    before = product.balance(organization)

    with load(product.base_urls, key, body, clients=4, pause_s=0.1) as found:
        time.sleep(1)
        breaks(storm)
        time.sleep(60 if is_full else 4)
        mends(storm)
        _wait_for_fair_weather(storm)
        time.sleep(2)

    assert found.statuses().keys() == {200}, found.statuses()
    degraded = [one for one in found.told if one.is_degraded]
    assert degraded
    assert not found.told[-1].is_degraded
    product.wait_settled(organization, rows=len(found.told), within_s=60)
    records = product.usage_rows(organization)
    assert len(records) == len(found.told)
    assert product.balance(organization) == before - sum(row["cost_nano"] for row in records)
    wait_until(
        lambda: product.rows("SELECT * FROM billing_degradedhold") == [], what="no hold is left", within_s=20
    )
    product.command("billing_verify")
    took = sorted(one.took_s for one in found.told)
    sys.stdout.write(
        f"{len(took)} requests, {len(degraded)} degraded, p50 {took[len(took) // 2]:.3f} s, "
        f"p99 {took[len(took) * 99 // 100]:.3f} s, longest {took[-1]:.3f} s\n"
    )


@pytest.mark.timeout(1800)
def test_a_crowd_is_served_exactly_as_far_as_the_wallet_reaches_while_valkey_restarts(
    storm: Storm, seed: int, *, is_full: bool
) -> None:
    for number in range(50 if is_full else 2):
        _race(storm, Random(f"{seed}:{number}"))


def _race(storm: Storm, chance: Random) -> None:
    product, paid = storm.product, 10
    _wait_for_fair_weather(storm)
    organization, key = product.new_customer(plan="enterprise", credit_cents=paid)
    body = body_that_costs(NANOS_PER_CENT, f"tokens=1 first_ms={chance.randint(300, 2_000)}")

    away_after_s, away_s = chance.uniform(0, 0.5), chance.uniform(0, 1.5)
    answers: list[tuple[int, bytes]] = []

    async def later(seconds: float, count: int) -> list[tuple[int, bytes]]:
        await asyncio.sleep(seconds)
        return await volley(product.base_urls, key, body, count)

    async def crowd() -> None:
        parts = await asyncio.gather(later(0, 100), later(away_after_s, 50), later(away_after_s + away_s, 50))
        answers.extend(itertools.chain(*parts))

    asking = threading.Thread(target=lambda: asyncio.run(crowd()))
    asking.start()
    # Here and not in a thread: a server ends with the thread that started it.
    time.sleep(away_after_s)
    storm.valkey.kill()
    time.sleep(away_s)
    storm.valkey.revive()
    asking.join()
    served = sum(status == 200 for status, _ in answers)
    while served < paid:
        status, _ = asyncio.run(volley(product.base_urls, key, body, 1))[0]
        assert status in {200, 503}
        served += status == 200
        time.sleep(0.2)
    assert {status for status, _ in answers} <= {200, 402, 503}
    assert served == paid
    told = Counter(status for status, _ in answers)
    sys.stdout.write(f"away after {away_after_s:.2f} s for {away_s:.2f} s: {dict(told)}\n")
    product.wait_settled(organization, rows=paid, within_s=60)
    assert len(product.usage_rows(organization)) == paid
    assert product.balance(organization) == 0


def test_valkey_that_forgets_everything_under_load_makes_no_key_unknown(storm: Storm) -> None:
    _wait_for_fair_weather(storm)
    product = storm.product
    _, key = product.new_customer(plan="enterprise", credit_cents=10_000)
    body = chat_body("Hello [[sandbox tokens=2]]")

    with load(product.base_urls, key, body, clients=12, pause_s=0.01) as found:
        time.sleep(1)
        for _ in range(2):
            product.valkey.flushall()
            time.sleep(2.5)

    assert found.statuses().keys() <= {200, 503}
    assert found.told[-1].status == 200
    refused = [one.at for one in found.told if one.status == 503]
    served = [one.at for one in found.told if one.status == 200]
    assert len(served) > len(refused) / 10


def test_a_revoked_key_is_refused_within_two_seconds_while_valkey_is_away(storm: Storm) -> None:
    _wait_for_fair_weather(storm)
    product = storm.product
    organization = product.new_organization(plan="enterprise", credit_cents=1_000)
    made = json.loads(product.command("apikey_create", f"--organization={organization}", "--json"))
    body = chat_body("Hello [[sandbox tokens=1]]")
    assert {asyncio.run(ask(url, made["secret"], body)).status for url in product.base_urls} == {200}
    storm.to_valkey.down()
    wait_until(lambda: bool(storm.mode()["is_open"]), what="PostgreSQL stands in")
    assert {asyncio.run(ask(url, made["secret"], body)).status for url in product.base_urls} == {200}

    product.rows(
        "UPDATE accounts_apikey SET revoked_at = now() WHERE organization_id = %s RETURNING id", organization
    )
    revoked_at = time.monotonic()

    for url in product.base_urls:
        wait_until(
            lambda url=url: asyncio.run(ask(url, made["secret"], body)).status == 401,  # type: ignore[misc]
            what="the key is refused",
            within_s=6,
        )
    assert time.monotonic() - revoked_at < 6
    storm.to_valkey.heal()
    _wait_for_fair_weather(storm)


def test_with_both_away_requests_are_refused_at_once_and_no_upstream_is_asked(storm: Storm) -> None:
    _wait_for_fair_weather(storm)
    product = storm.product
    _, key = product.new_customer(plan="enterprise", credit_cents=1_000)
    body = chat_body("Hello [[sandbox tokens=1]]")
    for url in product.base_urls:
        assert asyncio.run(ask(url, key, body)).status == 200
    for sandbox in product.sandboxes:
        sandbox.reset()
    storm.to_valkey.down()
    storm.to_postgresql.down()
    time.sleep(6)

    told = [asyncio.run(ask(url, key, body)) for url in product.base_urls for _ in range(5)]

    assert {one.status for one in told} == {503}
    assert all(one.is_degraded for one in told)
    assert sorted(one.took_s for one in told)[len(told) // 2] < 0.3
    assert sum(len(sandbox.log()) for sandbox in product.sandboxes) == 0
    storm.to_postgresql.heal()
    storm.to_valkey.heal()
    wait_until(
        lambda: all(httpx2.get(f"{url[:-3]}/readyz").status_code == 200 for url in product.base_urls),
        what="all is well",
    )
    _wait_for_fair_weather(storm)
    wait_until(
        lambda: all(asyncio.run(ask(url, key, body)).status == 200 for url in product.base_urls),
        what="requests are served again",
    )
