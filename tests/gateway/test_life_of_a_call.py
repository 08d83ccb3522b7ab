"""What happens to a call, its hold and its record when something goes wrong at an awkward moment."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from billing.spool import Intent, Usage, Void
from tests.gateway.conftest import Build
from tests.gateway.house import House, Upstream, whole


async def test_a_plain_call_is_recorded_and_leaves_its_cost_held(house: House) -> None:
    status, _ = await house.answer()

    (usage,) = house.records(Usage)
    assert (status, usage.outcome, usage.cost_nano) == (200, "completed", 15)
    assert list(house.holds.values()) == [15]


async def test_a_caller_who_leaves_before_the_upstream_is_asked_costs_nothing(
    house: House, upstream: Upstream
) -> None:
    house.may_open.clear()
    reply = house.ask()
    await asyncio.sleep(0.05)

    reply.leave()
    house.may_open.set()
    await house.settled()

    assert upstream.bodies == []
    assert house.records(Usage) == house.records(Intent) == []
    assert house.holds == {}


async def test_a_caller_who_leaves_while_a_connection_is_made_is_not_waited_for(
    build: Build, upstream: Upstream
) -> None:
    house = await build(drain_s=0.3)
    connect = house.gateway.client.connect

    async def slowly(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(0.1)
        return await connect(*arguments, **options)

    house.gateway.client.connect = slowly  # type: ignore[method-assign]
    upstream.script = upstream.says(b"", pause_s=5)
    reply = house.ask()
    await asyncio.sleep(0.05)

    reply.leave()
    started = time.monotonic()
    await house.settled()

    assert time.monotonic() - started < 2


async def test_a_refusal_leaves_a_void_and_no_hold(house: House, upstream: Upstream) -> None:
    upstream.script = upstream.says(whole(b'{"error":{"message":"bad"}}', "400 Bad Request"))

    status, _ = await house.answer()

    assert (status, len(house.records(Void)), house.holds) == (400, 1, {})
