"""A stream keeps what is held for it for as long as it runs, however long that is."""

from __future__ import annotations

import asyncio

import pytest

from billing import holds
from gateway import upkeep
from tests.gateway.house import DONE, ORGANIZATION, SSE_END, SSE_HEAD, House, Upstream, event

# A stream of twenty minutes sees its lease renewed eighty times.
RENEWALS = 80


async def test_a_long_stream_is_renewed_again_and_again_and_loses_nothing(
    house: House, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TICK_S", 0.005)
    monkeypatch.setattr(upkeep, "RENEW_EVERY_S", 0.0)
    may_end = asyncio.Event()

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("a"))
        await may_end.wait()
        writer.write(event("b") + DONE + SSE_END)

    upstream.script = endless
    house.balance_nano = 1_000_000
    beside = asyncio.create_task(upkeep.upkeep(house.gateway))
    reply = house.ask(stream=True, max_tokens=900_000)
    await reply.begun()
    (request_id, held_nano), *_ = house.holds.items()

    async with asyncio.timeout(50):
        ends = [_lease_of(house, request_id)]
        while len(ends) <= RENEWALS:
            if (end := _lease_of(house, request_id)) != ends[-1]:
                ends.append(end)
            await asyncio.sleep(0.001)
    refused = await _status(house, max_tokens=200_000)

    assert ends == sorted(ends)
    assert (house.holds, refused) == ({request_id: held_nano}, 402)
    may_end.set()
    while await reply.piece() is not None:
        pass
    await house.settled()
    beside.cancel()
    assert house.gateway.holds._running == {}
    assert _lease_of(house, request_id) == 0


def _lease_of(house: House, request_id: str) -> float:
    return house.valkey.zscore(holds.keys_of(ORGANIZATION)[2], request_id) or 0


async def _status(house: House, **fields: object) -> int:
    reply = house.ask(**fields)
    await reply.begun()
    return reply.status
