"""Requests and tokens a minute while Valkey is away: each process hands out its share of every limit.

The shares add up to the limit exactly: what does not divide goes to the first processes, so that all of them together
never let in more than the limit. Running requests are counted in PostgreSQL.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from billing.holds import Ask
from billing.refusals import Limits, Minute, RateLimited
from billing.store import Moment

_MINUTE_S = 60.0
_MOST_BUCKETS = 50_000
_DUST_S = 0.000_002
_DIMENSIONS = ("requests", "requests", "tokens", "tokens")


def share_of(limit: int, processes: int, rank: int) -> int:
    """Return how much of a limit the process of a rank hands out."""
    return limit // max(processes, 1) + (rank < limit % max(processes, 1))


class LocalLimits:
    """Buckets of one process, a minute's worth deep, as ``lua/admit.lua`` keeps them for all."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        # By name: when the bucket will be full again, the least recently used first.
        self._arrivals: OrderedDict[str, Moment] = OrderedDict()

    def forget(self) -> None:
        """Begin anew."""
        self._arrivals.clear()

    def take(self, ask: Ask, processes: int, rank: int) -> Limits:
        """Count one request and its input in every bucket, or in none; raises ``RateLimited``."""
        now = self._clock()
        for place, (name, limit, count) in enumerate(_buckets(ask)):
            wait_s = self._excess(name, share_of(limit, processes, rank), count, now)
            # A key's limit of 0 means that it has none of its own, an organization's that it is shut.
            if wait_s > _DUST_S and (limit or not place % 2):
                raise RateLimited(
                    self._limits(ask, processes, rank, now),
                    dimension=_DIMENSIONS[place],
                    limit=limit,
                    retry_after_ms=int(min(wait_s, _MINUTE_S) * 1_000) + 1,
                )
        self._move(ask, processes, rank, 1)
        return self._limits(ask, processes, rank, now)

    def give_back(self, ask: Ask, processes: int, rank: int) -> None:
        """Take back what was counted for a request that is refused for another reason."""
        self._move(ask, processes, rank, -1)

    def correct(self, ask: Ask, tokens: int, processes: int, rank: int) -> None:
        """Count tokens beyond what was estimated; may be negative."""
        for name, limit, _ in _buckets(ask)[2:]:
            self._add(name, share_of(limit, processes, rank), tokens)

    def _move(self, ask: Ask, processes: int, rank: int, sign: int) -> None:
        for name, limit, count in _buckets(ask):
            self._add(name, share_of(limit, processes, rank), sign * count)

    def _add(self, name: str, share: int, count: int) -> None:
        if not share or not count:
            return
        now = self._clock()
        start = max(self._arrivals.pop(name, now), now)
        self._arrivals[name] = start + count * _MINUTE_S / share
        if len(self._arrivals) > _MOST_BUCKETS:
            self._arrivals.popitem(last=False)

    def _excess(self, name: str, share: int, count: int, now: float) -> float:
        if not share:
            return _MINUTE_S
        return max(self._arrivals.get(name, 0.0), now) + count * _MINUTE_S / share - now - _MINUTE_S

    def _limits(self, ask: Ask, processes: int, rank: int, now: float) -> Limits:
        minutes = [
            self._minute(name, limit, share_of(limit, processes, rank), now)
            for name, limit, _ in _buckets(ask)
        ]
        of_key = [minute for minute in minutes[1::2] if minute.limit]
        requests, tokens = minutes[0], minutes[2]
        if ask.key_requests_per_minute and of_key[0].remaining < requests.remaining:
            requests = of_key[0]
        if ask.key_tokens_per_minute and of_key[-1].remaining < tokens.remaining:
            tokens = of_key[-1]
        return Limits(requests, tokens)

    def _minute(self, name: str, limit: int, share: int, now: float) -> Minute:
        until_s = max(0.0, self._arrivals.get(name, 0.0) - now)
        remaining = max(0, int((_MINUTE_S - until_s) * share / _MINUTE_S + 0.000001))
        return Minute(limit=limit, remaining=remaining, reset_ms=int(until_s * 1_000))


def _buckets(ask: Ask) -> tuple[tuple[str, int, int], ...]:
    """Return name, limit and count of each bucket."""
    return (
        (f"{ask.organization_id}:rpm", ask.requests_per_minute, 1),
        (f"{ask.key_id}:rpm", ask.key_requests_per_minute, 1),
        (f"{ask.organization_id}:tpm", ask.tokens_per_minute, ask.input_tokens),
        (f"{ask.key_id}:tpm", ask.key_tokens_per_minute, ask.input_tokens),
    )
