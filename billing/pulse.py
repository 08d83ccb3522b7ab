"""The pulse of the product: what ended in the last minutes, in slots of ten seconds, and today; in Valkey, by the shipper.

It only informs: the books are elsewhere (``billing.models``), and what Valkey forgets is not counted again. ``since`` says
from when on a day was counted.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import redis
import redis.client

from billing import health
from billing.spool import Usage
from fastanchor.lib import windows
from fastanchor.lib.histogram import bucket_of, quantile

SLOT_S = 10
SLOTS = 60
# The present slot and the one before are still being filled: a request is counted some moments after its end.
_UNFINISHED = 2
_KEPT_S = SLOT_S * (SLOTS + _UNFINISHED + 4)
_DAY_S = 24 * 3_600
_DAY_KEPT_S = 2 * _DAY_S
_SLOT, _DAY = "fa:pulse:slot:", "fa:pulse:day:"


@dataclass(slots=True)
class Beat:
    """What ended in some stretch of time: requests, those that we failed, what they cost, and how long they took."""

    requests: int = 0
    failed: int = 0
    cost_nano: int = 0
    first_token: Counter[int] = field(default_factory=Counter)
    whole: Counter[int] = field(default_factory=Counter)
    by_channel: Counter[str] = field(default_factory=Counter)
    failed_by_channel: Counter[str] = field(default_factory=Counter)

    def add(self, other: Beat) -> None:
        """Count another stretch as well."""
        self.requests += other.requests
        self.failed += other.failed
        self.cost_nano += other.cost_nano
        for name in ("first_token", "whole", "by_channel", "failed_by_channel"):
            getattr(self, name).update(getattr(other, name))

    def first_token_ms(self, percent: int) -> int | None:
        """Return how long ``percent`` of the streams took to their first token at most."""
        return quantile(self.first_token, percent=percent)

    def whole_ms(self, percent: int) -> int | None:
        """Return how long ``percent`` of all took at most."""
        return quantile(self.whole, percent=percent)


@dataclass(frozen=True, slots=True)
class Day:
    """What ended today (UTC); ``since`` is later than midnight where Valkey has lost its memory meanwhile."""

    requests: int
    failed: int
    cost_nano: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """The slots of the last minutes, oldest first, and today."""

    slots: Sequence[Beat]
    today: Day

    def last(self, seconds: int) -> Beat:
        """Return what ended in the last whole slots of so many seconds."""
        found = Beat()
        for beat in self.slots[-(seconds // SLOT_S) :]:
            found.add(beat)
        return found


def write(pipeline: redis.client.Pipeline, usages: Iterable[Usage], *, now: float) -> None:
    """Put on a pipeline what counts requests that were settled; those that ended long ago count for their day only."""
    slots: defaultdict[int, Counter[str]] = defaultdict(Counter)
    days: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for usage in usages:
        ended_s = usage.finished_at_ms // 1_000
        if not 0 <= ended_s <= now + _DAY_S:
            # What could not be stored may say anything.
            continue
        has_failed = health.has_failed(usage.outcome, usage.status, usage.error_code)
        sums = _sums(usage, has_failed=has_failed)
        days[windows.day_number(datetime.fromtimestamp(ended_s, UTC))].update(sums)
        if ended_s > now - _KEPT_S:
            slots[ended_s // SLOT_S].update({**sums, **_details(usage, has_failed=has_failed)})
    for slot, sums in slots.items():
        _count(pipeline, f"{_SLOT}{slot}", sums, kept_s=_KEPT_S)
    for day, sums in days.items():
        pipeline.hsetnx(f"{_DAY}{day}", "since", str(int(now)))
        _count(pipeline, f"{_DAY}{day}", sums, kept_s=_DAY_KEPT_S)


def _count(pipeline: redis.client.Pipeline, key: str, sums: Mapping[str, int], *, kept_s: int) -> None:
    for name, amount in sums.items():
        pipeline.hincrby(key, name, amount)
    pipeline.expire(key, kept_s)


def _sums(usage: Usage, *, has_failed: bool) -> dict[str, int]:
    # A failure over the caller's own key of a provider is not ours.
    return {"requests": 1, "failed": int(has_failed and not usage.is_own_key), "cost": usage.cost_nano}


def _details(usage: Usage, *, has_failed: bool) -> dict[str, int]:
    whole_ms = usage.finished_at_ms - usage.started_at_ms
    details = {f"channel|{usage.channel_id}": 1, f"whole|{bucket_of(whole_ms)}": 1}
    if usage.first_token_ms >= 0 and usage.is_stream:
        details[f"first|{bucket_of(usage.first_token_ms)}"] = 1
    if has_failed:
        details[f"failed|{usage.channel_id}"] = 1
    return details


def read(client: redis.Redis, *, now: float | None = None) -> Pulse:
    """Return the pulse; raises ``RedisError``."""
    now = time.time() if now is None else now
    newest = int(now) // SLOT_S - _UNFINISHED
    pipeline = client.pipeline(transaction=False)
    for slot in range(newest - SLOTS + 1, newest + 1):
        pipeline.hgetall(f"{_SLOT}{slot}")
    pipeline.hgetall(f"{_DAY}{windows.day_number(datetime.fromtimestamp(now, UTC))}")
    *slots, day = pipeline.execute()
    return Pulse([_beat(_text(each)) for each in slots], _day(_text(day)))


def _text(told: Mapping[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(amount) for name, amount in told.items()}


def _beat(told: Mapping[str, int]) -> Beat:
    beat = Beat(told.get("requests", 0), told.get("failed", 0), told.get("cost", 0))
    for name, amount in told.items():
        kind, _, which = name.partition("|")
        if kind == "first":
            beat.first_token[int(which)] += amount
        elif kind == "whole":
            beat.whole[int(which)] += amount
        elif kind == "channel":
            beat.by_channel[which] += amount
        elif which:
            beat.failed_by_channel[which] += amount
    return beat


def _day(told: Mapping[str, int]) -> Day:
    since = datetime.fromtimestamp(told["since"], UTC) if "since" in told else None
    return Day(told.get("requests", 0), told.get("failed", 0), told.get("cost", 0), since)
