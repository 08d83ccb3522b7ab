"""Follows, for one gateway process, which store decides holds: Valkey, or PostgreSQL while Valkey is away; without the ORM.

It watches Valkey (``fastanchor.lib.breaker``) and tells PostgreSQL of its process (``billing.admission``, through an
injected ``Store``): seldom in calm weather, twice a second while Valkey is away, ten times a second around a turn. What
is done at a turn is up to the ``Holder``, which is ``billing.stand_in``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from billing.holds import HoldsUnavailable, RegisteredHold
from billing.store import LOST_S, Mode, Moment, Store
from fastanchor.lib.breaker import Breaker
from fastanchor.lib.valkey import TurnPipeline

logger = logging.getLogger(__name__)

# That another process has turned is announced in Valkey, which is there for whoever beats this slowly.
BEAT_S = 10.0
RETRY_S = 0.5
BRISK_S = 0.1
# While PostgreSQL decides and Valkey stays away: whatever changes wakes the beat, or a hold that is no longer placed.
STEADY_S = 0.5
# After so long another thread tries.
LONGEST_BEAT_S = 10.0
PROBE_S = 1.0
# PostgreSQL that does not answer for so long is away, too.
AWAY_S = 4.0
# So long requests wait for Valkey while PostgreSQL is away.
MOMENT_S = 1.0
LOOK_S = 0.02


class Holder(Protocol):
    """Who places holds, and must follow."""

    def facts(self) -> dict[str, int | bool]:
        """Return what staff want to know of the process."""

    def turn(self, mode: Mode) -> None:
        """Another period has begun."""

    def running(self) -> Sequence[RegisteredHold]:
        """Return all that is held; from now on PostgreSQL knows it."""

    async def release(self) -> None:
        """Tell PostgreSQL which of the holds that it knows have ended."""


class Periods:
    """The period that a process is in; ``run`` beside the requests in a task."""

    def __init__(
        self, pipeline: TurnPipeline, store: Store, holder: Holder, on_deaf: Callable[[bool], None]
    ) -> None:
        self._pipeline = pipeline
        self._breaker: Breaker = pipeline.breaker
        self._store = store
        self._holder = holder
        self._on_deaf = on_deaf
        self._is_deaf = False
        # Nothing is placed before the first beat.
        self.mode: Mode | None = None
        self._followed = 0
        self._seen_at = float("-inf")
        # When the oldest question that PostgreSQL owes an answer to was asked.
        self._asked_at: float | None = None
        # One for each of the loops below.
        self._wakes = (asyncio.Event(), asyncio.Event())
        self._has_begun = asyncio.Event()

    # Which store decides.

    @property
    def is_degraded(self) -> bool:
        """Tell whether Valkey or PostgreSQL is away."""
        mode = self.mode
        return mode is None or mode.is_degraded or self._breaker.is_open or not self._postgresql_answers()

    @property
    def is_calm(self) -> bool:
        """Tell whether Valkey decides and answers."""
        return self.mode is not None and not self.mode.is_degraded and not self._breaker.failures

    def is_over(self, mode: Mode) -> bool:
        """Tell whether another period has begun."""
        return self.mode is None or self.mode.period != mode.period

    async def decided(self, until: Moment) -> Mode:
        """Return the mode once a store decides; raises ``HoldsUnavailable``."""
        while True:
            mode = self.mode
            if mode is not None and self._is_decided(mode):
                return mode
            if mode is None or time.monotonic() >= until or self._is_hopeless(mode):
                raise HoldsUnavailable
            await asyncio.sleep(LOOK_S)

    def _is_decided(self, mode: Mode) -> bool:
        if mode.is_degraded:
            return mode.is_open and self._followed >= mode.period and self._postgresql_answers()
        if time.monotonic() - self._seen_at > LOST_S:
            raise HoldsUnavailable(retry_after_s=5.0)
        return not self._breaker.failures

    def _is_hopeless(self, mode: Mode) -> bool:
        """Tell whether neither store will decide soon; a moment's silence of Valkey is no reason yet."""
        is_silent = self._breaker.is_open and time.monotonic() - self._breaker.opened_at > MOMENT_S
        return (mode.is_degraded or is_silent) and not self._postgresql_answers()

    def _postgresql_answers(self) -> bool:
        return self._asked_at is None or time.monotonic() - self._asked_at < AWAY_S

    # Beside the requests.

    async def run(self) -> None:
        """Watch Valkey and follow the periods until cancelled."""
        self._breaker.watch(self.wake)
        await asyncio.gather(self._probe_forever(), self._beat_forever())

    async def started(self) -> None:
        """Wait for the first beat."""
        await self._has_begun.wait()

    def wake(self) -> None:
        """Ask both stores now."""
        for event in self._wakes:
            event.set()

    async def _probe_forever(self) -> None:
        while True:
            # Also where nobody asks for anything: what is announced in Valkey must be heard, or known not to be.
            if self._breaker.is_quiet or self._breaker.failures:
                await self._pipeline.probe()
            self._breaker.is_quiet = True
            self._tell_deafness()
            if self._breaker.is_open:
                # That a probe has failed is no news then.
                self._wakes[0].clear()
            await _pause(self._wakes[0], self._until_next_probe_s())

    def _until_next_probe_s(self) -> float:
        if self._breaker.is_open:
            # Nothing stands in while PostgreSQL is away, too.
            return PROBE_S if self._postgresql_answers() else BRISK_S
        return LOOK_S if self._breaker.failures else PROBE_S

    def _tell_deafness(self) -> None:
        is_deaf = self._breaker.is_open or (self.mode is not None and self.mode.is_degraded)
        if is_deaf != self._is_deaf:
            self._is_deaf = is_deaf
            self._on_deaf(is_deaf)

    async def _beat_forever(self) -> None:
        while True:
            pace_s = BEAT_S
            try:
                async with asyncio.timeout(LONGEST_BEAT_S):
                    await self._beat()
            except Exception as exc:  # noqa: BLE001 - whatever keeps us from PostgreSQL, the next beat may reach it
                logger.warning("holds.beat_failed", extra={"error": type(exc).__name__})
                pace_s = RETRY_S
            await _pause(self._wakes[1], self._until_next_beat_s(pace_s))

    def _until_next_beat_s(self, usual_s: float) -> float:
        mode = self.mode
        if mode is None or mode.is_degraded != self._breaker.is_open:
            return BRISK_S
        if not mode.is_degraded:
            return usual_s
        return STEADY_S if mode.is_open and self._followed >= mode.period else BRISK_S

    async def _beat(self) -> None:
        began = time.monotonic()
        if self._asked_at is None:
            self._asked_at = began
        mode = self.mode
        if mode is not None and self._breaker.is_open and not mode.is_degraded:
            await self._store.enter(mode.period)
        elif mode is not None and mode.is_degraded and not self._breaker.is_open:
            await self._store.leave(mode.period)
        facts = {"period": self._followed, "answers": not self._breaker.is_open, **self._holder.facts()}
        began = time.monotonic()
        self._adopt(await self._store.beat(facts), began)
        await self._follow()
        await self._holder.release()

    def _adopt(self, mode: Mode, began: Moment) -> None:
        self._asked_at, self._seen_at = None, began - mode.seen_ago_s
        before, self.mode = self.mode, mode
        self._has_begun.set()
        self._tell_deafness()
        if before is None or before.period == mode.period:
            return
        logger.warning("holds.turned", extra={"period": mode.period, "degraded": mode.is_degraded})
        if not mode.is_degraded:
            self._followed = mode.period
        self._holder.turn(mode)

    async def _follow(self) -> None:
        mode = self.mode
        if mode is None or self._followed >= mode.period:
            return
        if mode.is_degraded:
            await self._store.follow(mode.period, self._holder.running())
        self._followed = mode.period


async def _pause(wake: asyncio.Event, seconds: float) -> None:
    # Cheaper than a timeout, which counts where it is done beside every few requests.
    timer = asyncio.get_running_loop().call_later(seconds, wake.set)
    try:
        await wake.wait()
    finally:
        timer.cancel()
    wake.clear()
