"""Running sums of what was settled, in Valkey, for whoever watches the product from outside.

They count since Valkey last forgot them and only inform: the books are elsewhere (``billing.models``).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import redis

from billing import pulse
from billing.spool import Usage

SUMS, SHIPPERS, WAITING = "fa:tally", "fa:tally:shippers", "fa:tally:waiting"
# What is told of a shipper that has ended is taken out by the next who reads.
FRESH_S = 120.0
# One that is silent is to be seen as silent; after a day its host is taken for gone.
_WAITING_KEPT_S = 24 * 3_600.0


class Sum(NamedTuple):
    """One sum: of what (``requests``, ``attempts``, ``input_tokens``, ``output_tokens``, ``cost_nano``), and whose."""

    name: str
    provider: str
    outcome: str
    status: str


class Shipping(NamedTuple):
    """How a host's shipper fares: the longest wait of a record in its last round, seconds, and when that was."""

    host: str
    lag_s: float
    at: float


class Waiting(NamedTuple):
    """How long the oldest record that a host's shipper could not settle yet has waited, seconds, and when it said so."""

    host: str
    waiting_s: float
    at: float


def add(client: redis.Redis, host: str, usages: Sequence[Usage]) -> None:
    """Count records that were settled just now; raises ``RedisError``."""
    if not usages:
        return
    now = time.time()
    lag_s = now - min(usage.finished_at_ms for usage in usages) / 1_000
    pipeline = client.pipeline(transaction=False)
    for each, amount in _sums(usages).items():
        pipeline.hincrby(SUMS, "|".join(each), amount)
    pipeline.hset(SHIPPERS, host, json.dumps([round(max(0.0, lag_s), 3), now]))
    pulse.write(pipeline, usages, now=now)
    pipeline.execute()


def _sums(usages: Sequence[Usage]) -> Counter[Sum]:
    sums: Counter[Sum] = Counter()
    for usage in usages:
        whose = (usage.provider_id, usage.outcome, str(usage.status))
        sums[Sum("requests", *whose)] += 1
        sums[Sum("attempts", *whose)] += usage.attempts
        sums[Sum("input_tokens", *whose)] += usage.input_tokens
        sums[Sum("output_tokens", *whose)] += usage.output_tokens
        sums[Sum("cost_nano", *whose)] += usage.cost_nano
    return sums


def read(client: redis.Redis) -> tuple[dict[Sum, int], list[Shipping]]:
    """Return the sums, and how the shippers of all hosts fare; raises ``RedisError``."""
    raw: dict[bytes, bytes] = client.hgetall(SUMS)  # type: ignore[assignment]
    told: dict[bytes, bytes] = client.hgetall(SHIPPERS)  # type: ignore[assignment]
    shippers = [Shipping(host.decode(), *json.loads(text)) for host, text in told.items()]
    for gone in (each for each in shippers if each.at < time.time() - FRESH_S):
        client.hdel(SHIPPERS, gone.host)
    sums = {Sum(*name.decode().split("|")): int(amount) for name, amount in raw.items()}
    return sums, [each for each in shippers if each.at >= time.time() - FRESH_S]


def wait(client: redis.Redis, host: str, unsettled: Sequence[Usage]) -> None:
    """Tell that a host's shipper lives, and what it has read and not settled; raises ``RedisError``."""
    now = time.time()
    oldest_s = min((usage.finished_at_ms / 1_000 for usage in unsettled), default=now)
    client.hset(WAITING, host, json.dumps([round(max(0.0, now - oldest_s), 3), now]))


def waiting(client: redis.Redis) -> list[Waiting]:
    """Return the shippers that were heard of within a day, by host; raises ``RedisError``."""
    told: dict[bytes, bytes] = client.hgetall(WAITING)  # type: ignore[assignment]
    found = [Waiting(host.decode(), *json.loads(text)) for host, text in sorted(told.items())]
    for gone in (each for each in found if each.at < time.time() - _WAITING_KEPT_S):
        client.hdel(WAITING, gone.host)
    return [each for each in found if each.at >= time.time() - _WAITING_KEPT_S]
