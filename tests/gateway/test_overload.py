"""More calls than a process can work on: the lower plans stop first, and whoever waits gets the place that becomes free."""

from __future__ import annotations

import asyncio
import logging

import pytest

from accounts.plans import FIRST_PLANS
from billing.spool import Intent
from gateway import overload
from gateway.errors import ServiceUnavailable
from gateway.overload import Capacity
from tests.gateway.house import House, completion, whole

FREE, PAYG, ENTERPRISE = (FIRST_PLANS[name]["priority"] for name in ("free", "payg", "enterprise"))


async def is_turned_away(capacity: Capacity, running: set[int], priority: int) -> bool:
    """Ask for a turn as one more call, which then stays."""
    it = len(running) + 1_000
    running.add(it)
    try:
        await capacity.turn(priority)
    except ServiceUnavailable:
        running.discard(it)
        return True
    return False


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "WAIT_S", 0.1)


@pytest.mark.parametrize(
    ("busy", "away"),
    [
        (79, set()),
        (80, {FREE}),
        (94, {FREE}),
        (95, {FREE, PAYG}),
        (99, {FREE, PAYG}),
        (100, {FREE, PAYG, ENTERPRISE}),
    ],
)
async def test_the_lower_plans_stop_first(busy: int, away: set[int]) -> None:
    for priority in (FREE, PAYG, ENTERPRISE):
        running = set(range(busy))

        assert await is_turned_away(Capacity(running, 100), running, priority) == (priority in away)


async def test_who_waits_gets_the_place_that_becomes_free_higher_plans_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overload, "WAIT_S", 5.0)
    running = set(range(20))
    capacity = Capacity(running, 20)
    order: list[int] = []

    async def call(priority: int) -> None:
        running.add(1_000 + priority)
        await capacity.turn(priority)
        order.append(priority)
        running.discard(1_000 + priority)

    calls = [asyncio.create_task(call(priority)) for priority in (PAYG, ENTERPRISE)]
    await asyncio.sleep(0.05)
    assert order == []
    running.difference_update(range(4))
    await asyncio.wait_for(asyncio.gather(*calls), 5)

    assert order == [ENTERPRISE, PAYG]


async def test_a_full_queue_sends_the_lowest_plan_away_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "WAIT_S", 5.0)
    running = set(range(4))
    capacity = Capacity(running, 4)
    waiting = asyncio.create_task(is_turned_away(capacity, running, FREE))
    await asyncio.sleep(0)

    higher = asyncio.create_task(is_turned_away(capacity, running, ENTERPRISE))

    assert await asyncio.wait_for(waiting, 1)
    assert not higher.done()
    running.difference_update(range(4))
    assert not await asyncio.wait_for(higher, 5)


async def test_who_was_sent_away_is_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    running = set(range(10))
    capacity = Capacity(running, 10)
    for priority in (FREE, FREE, ENTERPRISE):
        await is_turned_away(capacity, running, priority)

    with caplog.at_level(logging.WARNING):
        capacity.report()
        capacity.report()

    (record,) = caplog.records
    told = vars(record)
    assert (told["shed"], told["by_priority"]) == (3, f"{FREE}: 2, {ENTERPRISE}: 1")


async def test_a_request_without_a_place_is_503_before_anything_is_held(house: House) -> None:
    release = asyncio.Event()
    is_asked = asyncio.Event()

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_asked.set()
        await release.wait()
        writer.write(whole(completion()))

    house.upstream.script = hold
    house.gateway.capacity = Capacity(house.gateway.running, 1)
    first = house.ask()
    await asyncio.wait_for(is_asked.wait(), 10)

    second = house.ask()
    await second.begun()

    assert second.status == 503
    assert ("retry-after", "1") in second.headers
    assert b"service_unavailable" in second.take()
    release.set()
    await first.begun()
    assert first.status == 200
    await house.settled()
    assert len(house.records(Intent)) == 1
