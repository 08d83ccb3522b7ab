"""A gateway process tells staff how it sees the channels."""

from __future__ import annotations

import asyncio

import pytest

from fastanchor import channel_reports
from fastanchor.lib.valkey import calm_client
from tests.gateway.house import House


async def test_a_gateway_tells_how_it_sees_its_channels(house: House) -> None:
    house.special = {"chan_1": {"concurrency": 3}}
    await house.gateway.catalog.refresh()
    await house.answer()
    await house.answer(stream=True)
    house.gateway.health.failed("chan_1", pause_s=5)

    client = calm_client()
    await channel_reports._report(house.gateway, client, "proc_1")
    await client.aclose()
    seen = await asyncio.to_thread(lambda: channel_reports.read()["chan_1"])

    assert (seen.answers, seen.failures, seen.running) == (2, 1, 0)
    assert seen.errors == pytest.approx(0.2, abs=0.02)
    assert 0 < seen.pause_s <= 5
    assert seen.whole_s > 0
