"""How each gateway process sees the channels, told to staff through Valkey: nothing depends on it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from fastanchor.lib.ids import new_id
from fastanchor.lib.valkey import sync_client
from gateway.runtime import Gateway

logger = logging.getLogger(__name__)

KEY = "fa:channels:now"
# One call costs as much as a request: the processes that serve do not make it often.
EVERY_S = 15.0
# What is older is of a process that has ended; who reads it takes it out.
FRESH_S = 45.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One channel as one process sees it, or as all of them do."""

    answers: int
    failures: int
    errors: float
    first_s: float
    whole_s: float
    running: int
    pause_s: float


async def report_forever(gateway: Gateway, client: redis.asyncio.Redis) -> None:
    """Tell every few seconds how this process sees the channels, until cancelled."""
    process = new_id("proc")
    while True:
        try:
            async with asyncio.timeout(EVERY_S):
                await _report(gateway, client, process)
        except (RedisError, OSError, TimeoutError):
            logger.info("channels.report_failed")
        await asyncio.sleep(EVERY_S)


async def _report(gateway: Gateway, client: redis.asyncio.Redis, process: str) -> None:
    told = json.dumps({"at": time.time(), "channels": seen_by(gateway)})
    await client.hset(KEY, process, told)


def seen_by(gateway: Gateway) -> dict[str, list[float]]:
    """Return how a process sees each channel that it has asked, as the numbers of ``Seen``."""
    health = gateway.health
    return {
        channel_id: [
            pace.answers,
            pace.failures,
            round(health.paces.errors(channel_id), 4),
            round(pace.first_s, 4),
            round(pace.whole_s, 4),
            gateway.limits.running(channel_id),
            round(max(0.0, health.pause_left(channel_id)), 1),
        ]
        for channel_id, pace in health.paces.known().items()
    }


def read() -> dict[str, Seen]:
    """Return the channels as all processes together see them, by their ids; raises ``RedisError``."""
    client = sync_client()
    told: dict[bytes, bytes] = client.hgetall(KEY)  # type: ignore[assignment]
    by_channel: defaultdict[str, list[Seen]] = defaultdict(list)
    for process, raw in told.items():
        report: dict[str, Any] = json.loads(raw)
        if time.time() - report["at"] > FRESH_S:
            client.hdel(KEY, process)
            continue
        for channel_id, numbers in report["channels"].items():
            by_channel[channel_id].append(Seen(*numbers))
    return {channel_id: _together(views) for channel_id, views in by_channel.items()}


def _together(views: list[Seen]) -> Seen:
    return Seen(
        answers=sum(each.answers for each in views),
        failures=sum(each.failures for each in views),
        errors=_mean((each.errors, each.answers + each.failures) for each in views),
        first_s=_mean((each.first_s, each.answers) for each in views if each.first_s),
        whole_s=_mean((each.whole_s, each.answers) for each in views if each.whole_s),
        running=sum(each.running for each in views),
        pause_s=max(each.pause_s for each in views),
    )


def _mean(weighted: Iterable[tuple[float, int]]) -> float:
    pairs = list(weighted)
    weights = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / weights if weights else 0.0
