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
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import pytest

from fastanchor.lib.money import NANOS_PER_CENT
from tests.faults.conftest import Storm
from tests.faults.cost import Meter
from tests.faults.load import Told, ask, load
from tests.faults.proxy import Faults
from tests.live.programs import wait_until
from tests.money.raw import chat_body, volley
from tests.money.sizes import body_that_costs

# The product is started for the first of these tests.
pytestmark = pytest.mark.timeout(300)
# How long after its revocation a key may be admitted: memory is trusted for a second.
_FORGOTTEN_S = 2.0
_AT_ONCE_S = 0.3


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


class _Outage(NamedTuple):
    """One way in which Valkey goes and comes back."""

    name: str
    breaks: Callable[[Storm], None]
    mends: Callable[[Storm], None]


_OUTAGES = (
    _Outage("killed", _kill, _revive),
    _Outage("stopped", _stop, _continue),
    _Outage("slowed", _slow, _heal),
)


@pytest.mark.timeout(900)
def test_while_valkey_is_away_every_request_is_served_and_every_nano_accounted_for(
    storm: Storm, *, is_full: bool
) -> None:
    product = storm.product
    organization, key = product.new_customer(plan="enterprise", credit_cents=100_000)
    body = chat_body("Hello [[sandbox tokens=5 delay_ms=10]]")
    before = product.balance(organization)
    calm_s: list[float] = []
    told: list[Told] = []

    for outage in _OUTAGES:
        with load(product.base_urls, key, body, clients=4, pause_s=0.1) as found:
            meter = Meter(product)
            time.sleep(5 if is_full else 0.4)
            calm_s += [one.took_s for one in found.told]
            calm = meter.read(len(found.told))
            outage.breaks(storm)
            time.sleep(60 if is_full else 1.5)
            outage.mends(storm)
            storm.wait_until_valkey_decides()
            away = meter.read(len(found.told))
            time.sleep(2 if is_full else 0.6)

        assert found.statuses().keys() == {200}, (outage.name, found.statuses())
        assert any(one.is_degraded for one in found.told), outage.name
        assert not found.told[-1].is_degraded, outage.name
        # 2 kB a request; in a short outage what is said once weighs more.
        assert away.log_kb < (2 if is_full else 20)
        assert away.memory_kb < calm.memory_kb * 1.2
        _tell(outage.name, found.told)
        sys.stdout.write(f"calm: {calm}; away: {away}\n")
        told += found.told

    _tell("calm", [Told(200, 0, seconds, is_degraded=False, body=b"") for seconds in calm_s])
    product.wait_settled(organization, rows=len(told), within_s=60)
    records = product.usage_rows(organization)
    assert len(records) == len(told)
    assert product.balance(organization) == before - sum(row["cost_nano"] for row in records)
    wait_until(
        lambda: product.rows("SELECT * FROM billing_degradedhold") == [], what="no hold is left", within_s=20
    )
    product.command("billing_verify")


def _tell(name: str, told: Sequence[Told]) -> None:
    took = sorted(one.took_s for one in told)
    degraded = sum(one.is_degraded for one in told)
    sys.stdout.write(
        f"{name}: {len(took)} requests, {degraded} degraded, p50 {took[len(took) // 2]:.3f} s, "
        f"p99 {took[len(took) * 99 // 100]:.3f} s, longest {took[-1]:.3f} s\n"
    )


@pytest.mark.timeout(1800)
def test_a_crowd_is_served_exactly_as_far_as_the_wallet_reaches_while_valkey_restarts(
    storm: Storm, seed: int, *, is_full: bool
) -> None:
    for number in range(50 if is_full else 1):
        _race(storm, Random(f"{seed}:{number}"))


def _race(storm: Storm, chance: Random) -> None:
    product, paid = storm.product, 10
    storm.wait_until_valkey_decides()
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
    product = storm.product
    _, key = product.new_customer(plan="enterprise", credit_cents=10_000)
    body = chat_body("Hello [[sandbox tokens=2]]")

    with load(product.base_urls, key, body, clients=12, pause_s=0.01) as found:
        time.sleep(0.5)
        for _ in range(2):
            product.valkey.flushall()
            time.sleep(2)

    assert found.statuses().keys() <= {200, 503}
    assert found.told[-1].status == 200
    refused = [one.at for one in found.told if one.status == 503]
    served = [one.at for one in found.told if one.status == 200]
    assert len(served) > len(refused) / 10


def test_a_revoked_key_is_refused_within_two_seconds_while_valkey_is_away(storm: Storm) -> None:
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

    # Each answer after the moment counts: no process may be asked again until it happens to know.
    admitted_at = revoked_at
    while time.monotonic() - revoked_at < 2 * _FORGOTTEN_S:
        for url in product.base_urls:
            asked_at = time.monotonic()
            if asyncio.run(ask(url, made["secret"], body)).status == 200:
                admitted_at = max(admitted_at, asked_at)
    assert admitted_at - revoked_at < _FORGOTTEN_S
    assert {asyncio.run(ask(url, made["secret"], body)).status for url in product.base_urls} == {401}
    sys.stdout.write(f"last admitted {admitted_at - revoked_at:.3f} s after it was revoked\n")


def test_with_both_away_requests_are_refused_at_once_and_no_upstream_is_asked(storm: Storm) -> None:
    product = storm.product
    _, key = product.new_customer(plan="enterprise", credit_cents=1_000)
    body = chat_body("Hello [[sandbox tokens=1]]")
    for url in product.base_urls:
        assert asyncio.run(ask(url, key, body)).status == 200
    for sandbox in product.sandboxes:
        sandbox.reset()
    storm.to_valkey.down()
    storm.to_postgresql.down()
    wait_until(
        lambda: all(asyncio.run(ask(url, key, body)).took_s < _AT_ONCE_S for url in product.base_urls),
        what="both are known to be away",
    )
    asked_before = sum(len(sandbox.log()) for sandbox in product.sandboxes)

    told = [asyncio.run(ask(url, key, body)) for _ in range(50) for url in product.base_urls]

    assert {one.status for one in told} == {503}
    assert all(json.loads(one.body)["error"]["code"] == "service_unavailable" for one in told)
    assert all(one.is_degraded for one in told)
    _tell("both away", told)
    assert max(one.took_s for one in told) < 3 * _AT_ONCE_S
    assert sum(len(sandbox.log()) for sandbox in product.sandboxes) == asked_before
    storm.to_postgresql.heal()
    storm.to_valkey.heal()
    storm.wait_until_served()
