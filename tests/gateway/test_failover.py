"""What a failing channel costs the callers of a healthy one: little time, and few more attempts.

``--full --log-cli-level INFO`` measures longer and says the figures, which stand in docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import time

from billing.spool import Usage
from gateway.health import RETRY_FLOOR, RETRY_SHARE, Health
from tests.gateway.house import House, Upstream, completion, whole

logger = logging.getLogger(__name__)

BROKEN = whole(b'{"error":{"message":"no"}}', "503 Service Unavailable")


async def _times(house: House, count: int) -> list[float]:
    times = []
    for _ in range(count):
        # Each request meets the failure anew, as the first one does.
        house.gateway.health = Health()
        began = time.perf_counter()
        reply = house.ask()
        await reply.begun()
        times.append(time.perf_counter() - began)
        assert reply.status == 200
    await house.settled()
    return sorted(times)


async def test_a_fast_failure_delays_a_request_by_milliseconds(
    house: House,
    upstream: Upstream,
    second: Upstream,
    *,
    is_full: bool,
) -> None:
    count = 1_000 if is_full else 40
    second.script = second.says(whole(completion()))
    without = await _times(house, count)
    upstream.script = upstream.says(BROKEN)

    failing = await _times(house, count)

    p50 = statistics.median(failing) - statistics.median(without)
    p99 = failing[int(0.99 * count)] - without[int(0.99 * count)]
    logger.info("A failure adds %.1f ms (p50), %.1f ms (p99).", p50 * 1_000, p99 * 1_000)
    # The aim is 10 ms; a busy machine gets three times that.
    assert p50 < 0.030


async def test_however_much_fails_there_are_at_most_a_fifth_more_attempts(
    house: House, upstream: Upstream, second: Upstream, *, is_full: bool, seed: int
) -> None:
    count, chance = (3_000 if is_full else 300), random.Random(seed)

    async def sometimes(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(BROKEN if chance.random() < 0.3 else whole(completion()))

    upstream.script = second.script = sometimes
    for _ in range(count // 10):
        await asyncio.gather(*(house.answer() for _ in range(10)))

    attempts = len(upstream.bodies) + len(second.bodies)
    logger.info("%d attempts for %d requests.", attempts, count)
    assert len(house.records(Usage)) == count
    assert attempts <= count * (1 + RETRY_SHARE) + RETRY_FLOOR
