"""What upstreams allow each channel, kept by this process: requests and tokens a minute, and requests at once.

Every process keeps its share of a limit (one of N gateway processes an Nth, at least one request), so that nobody has
to be asked on the hot path. When a limit is nearly used up, callers of lower plans are passed over first: Free may use
four fifths of it, Pay-as-you-go all but a twentieth, Enterprise all.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from catalog.snapshot import Channel

SLOT_S = 5.0
SLOTS = 12
# How much of a limit callers of a priority may use; see ``accounts.plans``.
SHARES = ((20, 1.0), (10, 0.95), (0, 0.8))
# How soon a running request may end; nobody can tell.
SEAT_S = 1.0


class Lack(NamedTuple):
    """Which limit of a channel is reached (``requests``, ``tokens`` or ``concurrency``), and for how long about."""

    what: str
    wait_s: float


class Seat(NamedTuple):
    """A request's place at a channel, and the tokens that were counted for it."""

    channel: Channel
    tokens: int


class _Minute:
    """A count of the last minute, in slots of a few seconds: what it says is never too little."""

    __slots__ = ("_slots", "_total")

    def __init__(self) -> None:
        self._slots: deque[list[int]] = deque()
        self._total = 0

    def add(self, amount: int, at: float) -> None:
        number = self._forget(at)
        if self._slots and self._slots[-1][0] == number:
            self._slots[-1][1] += amount
        else:
            self._slots.append([number, amount])
        self._total += amount

    def used(self, at: float) -> int:
        self._forget(at)
        return self._total

    def wait_s(self, allowed: int, at: float) -> float:
        """Return how long until less than ``allowed`` is used."""
        left = self._total
        for number, amount in self._slots:
            left -= amount
            if left < allowed:
                return (number + SLOTS + 1) * SLOT_S - at
        return 0.0

    def _forget(self, at: float) -> int:
        number = int(at // SLOT_S)
        # The slot that is still in the making comes on top of a whole minute.
        while self._slots and self._slots[0][0] < number - SLOTS:
            self._total -= self._slots.popleft()[1]
        return number


@dataclass(slots=True)
class _Use:
    running: int = 0
    requests: _Minute = field(default_factory=_Minute)
    tokens: _Minute = field(default_factory=_Minute)


class Limits:
    """Counts what runs through channels that have limits."""

    def __init__(self, *, processes: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._processes = max(1, processes)
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    def lack(self, channel: Channel, *, priority: int = 0) -> Lack | None:
        """Return the limit that keeps a caller of this priority from a channel now, if any does."""
        if not channel.is_limited or (use := self._uses.get(channel.id)) is None:
            return None
        share = _share(priority)
        if channel.concurrency and use.running >= self._part(channel.concurrency, share):
            return Lack("concurrency", SEAT_S)
        now = self._clock()
        for what, limit, minute in (
            ("requests", channel.requests_per_minute, use.requests),
            ("tokens", channel.tokens_per_minute, use.tokens),
        ):
            if limit and minute.used(now) >= (allowed := self._part(limit, share)):
                return Lack(what, minute.wait_s(allowed, now))
        return None

    def take(self, channel: Channel, *, tokens: int) -> Seat | None:
        """Count a request that goes to a channel now; it must ``leave`` later. ``None`` where there are no limits."""
        if not channel.is_limited:
            return None
        use, now = self._uses.setdefault(channel.id, _Use()), self._clock()
        use.running += 1
        use.requests.add(1, now)
        use.tokens.add(tokens, now)
        return Seat(channel, tokens)

    def leave(self, seat: Seat | None, *, tokens: int | None = None) -> None:
        """Free a request's place; ``tokens`` is what it really took, where that is known."""
        if seat is None:
            return
        use = self._uses[seat.channel.id]
        use.running -= 1
        if tokens is not None:
            use.tokens.add(tokens - seat.tokens, self._clock())

    def running(self, channel_id: str) -> int:
        """Return how many requests of this process run through a channel that has limits."""
        use = self._uses.get(channel_id)
        return use.running if use is not None else 0

    def _part(self, limit: int, share: float) -> int:
        return max(1, round(limit // self._processes * share))


def _share(priority: int) -> float:
    return next((share for least, share in SHARES if priority >= least), SHARES[-1][1])
