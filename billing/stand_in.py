"""DOOR: holds that are decided by Valkey, and by PostgreSQL while Valkey is away; without the ORM.

``SteadyHolds`` is what a gateway process uses. It watches Valkey (``fastanchor.lib.breaker``), follows which store
decides (``billing.admission``, through an injected ``Store``), and lets a request wait for a moment when neither does.
What must hold: no hold is placed in Valkey after this process has told PostgreSQL what it holds, and an answer that
arrives from there later counts for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from billing.holds import Ask, Hold, Holds, HoldsUnavailable, Opener, RegisteredHold
from billing.local_limits import LocalLimits
from billing.refusals import Limits, refusal
from billing.store import LOST_S, Answer, Mode, Store
from fastanchor.lib.breaker import Breaker
from fastanchor.lib.valkey import TurnPipeline

logger = logging.getLogger(__name__)

BEAT_S = 2.0
RETRY_S = 0.5
BRISK_S = 0.1
# After so long another thread tries.
LONGEST_BEAT_S = 10.0
PROBE_S = 1.0
# How long a request waits until either store decides, and for its turn at PostgreSQL.
PATIENCE_S = 5.0
# PostgreSQL that has not answered for so long is away, too.
AWAY_S = 4.0
AT_ONCE = 16
MOST_WAITING = 512
_LOOK_S = 0.02


@dataclass(slots=True)
class _Ended:
    """A request that PostgreSQL still takes for a running one."""

    organization_id: str
    is_free: bool


class SteadyHolds(Holds):
    """Holds of one gateway process, whichever store decides; ``run`` beside it in a task."""

    def __init__(
        self,
        pipeline: TurnPipeline,
        open_organization: Opener,
        store: Store,
        *,
        on_deaf: Callable[[bool], None] = lambda is_deaf: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(pipeline, open_organization, clock=clock)
        # Told when changes that are announced in Valkey cannot be heard any more, and when they can be again.
        self._on_deaf = on_deaf
        self._is_deaf = False
        self._store = store
        self._breaker: Breaker = pipeline.breaker
        # Nothing is placed before the first beat.
        self._mode: Mode | None = None
        self._followed = 0
        self._heard_at = float("-inf")
        self._seen_at = float("-inf")
        self._limits = LocalLimits(clock=time.monotonic)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._ended: dict[str, _Ended] = {}
        # One for each of the loops below.
        self._wakes = (asyncio.Event(), asyncio.Event())
        self._has_begun = asyncio.Event()
        self.placed = 0
        self.refused = 0

    # What the stages ask.

    @property
    def is_degraded(self) -> bool:
        """Tell whether Valkey or PostgreSQL is away."""
        mode = self._mode
        return mode is None or mode.is_degraded or self._breaker.is_open or not self._postgresql_answers()

    async def place(self, ask: Ask) -> Hold:
        """Reserve as ``Holds.place`` does, by whichever store decides; waits for a moment when neither does."""
        until = time.monotonic() + PATIENCE_S
        try:
            while True:
                mode = await self._decided(until)
                hold = await (
                    self._place_there(mode, ask, until) if mode.is_degraded else self._place_here(mode, ask)
                )
                if hold is not None:
                    return hold
        except HoldsUnavailable:
            self.refused += 1
            raise

    async def extend(self, hold: Hold, tokens: int) -> int:
        """Reserve more as ``Holds.extend`` does; a running stream waits for a store to decide."""
        until = time.monotonic() + PATIENCE_S
        while True:
            mode = await self._decided(until)
            granted = await (
                self._extend_there(mode, hold, tokens, until)
                if mode.is_degraded
                else self._extend_here(mode, hold, tokens, until)
            )
            if granted is not None:
                return granted

    def settle(self, hold: Hold, *, cost_nano: int, tokens: int) -> None:
        """End the hold at its cost; its row, if it has one, ends with the settlement, or at once where it is free."""
        ask = hold.ask
        if hold.has_row:
            self._ended[ask.request_id] = _Ended(ask.organization_id, is_free=not cost_nano)
        if self._mode is not None and self._mode.is_degraded:
            self._running.pop(ask.request_id, None)
            self._limits.correct(ask, tokens - ask.input_tokens, self._mode.processes, self._mode.rank)
        else:
            super().settle(hold, cost_nano=cost_nano, tokens=tokens)

    def renew(self) -> None:
        """Renew leases where Valkey decides; rows of PostgreSQL have none."""
        if self._mode is not None and not self._mode.is_degraded and not self._breaker.is_open:
            super().renew()

    # Beside the requests.

    async def run(self) -> None:
        """Watch Valkey and follow the periods until cancelled."""
        self._breaker.watch(self._wake)
        await asyncio.gather(self._probe_forever(), self._beat_forever())

    async def started(self) -> None:
        """Wait for the first beat; before it nothing may be placed."""
        await self._has_begun.wait()

    async def _probe_forever(self) -> None:
        while True:
            # Also where nobody asks for anything: what is announced in Valkey must be heard, or known not to be.
            await self._pipeline.probe()
            self._tell_deafness()
            is_doubtful = self._breaker.failures and not self._breaker.is_open
            if self._breaker.is_open:
                # That a probe has failed is no news then.
                self._wakes[0].clear()
            await self._pause(self._wakes[0], _LOOK_S if is_doubtful else PROBE_S)

    def _tell_deafness(self) -> None:
        is_deaf = self._breaker.is_open or (self._mode is not None and self._mode.is_degraded)
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
            is_usual = self._mode is not None and not self._mode.is_degraded and not self._breaker.is_open
            await self._pause(self._wakes[1], pace_s if is_usual else BRISK_S)

    def _wake(self) -> None:
        for event in self._wakes:
            event.set()

    @staticmethod
    async def _pause(wake: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wake.wait()
        wake.clear()

    async def _beat(self) -> None:
        mode = self._mode
        if mode is not None and self._breaker.is_open and not mode.is_degraded:
            await self._store.enter(mode.period)
        elif mode is not None and mode.is_degraded and not self._breaker.is_open:
            await self._store.leave(mode.period)
        began = time.monotonic()
        facts: dict[str, int | bool] = {
            "period": self._followed,
            "answers": not self._breaker.is_open,
            "placed": self.placed,
            "refused": self.refused,
        }
        self._adopt(await self._store.beat(facts), began)
        await self._follow()
        await self._release()

    def _adopt(self, mode: Mode, began: float) -> None:
        self._heard_at, self._seen_at = began, began - mode.seen_ago_s
        before, self._mode = self._mode, mode
        self._has_begun.set()
        self._tell_deafness()
        if before is None or before.period == mode.period:
            return
        logger.warning("holds.turned", extra={"period": mode.period, "degraded": mode.is_degraded})
        if mode.is_degraded:
            self._limits.forget()
        else:
            # What Valkey remembers is not the truth any more: every wallet is opened anew.
            self._epoch = ""
            self._doubtful.clear()
            self._followed = mode.period

    async def _follow(self) -> None:
        mode = self._mode
        if mode is None or self._followed >= mode.period:
            return
        if mode.is_degraded:
            for hold in self._running.values():
                hold.has_row = True
            await self._store.follow(mode.period, [_registered(hold) for hold in self._running.values()])
        self._followed = mode.period

    async def _release(self) -> None:
        # One that is placed again meanwhile, after an answer was lost, is none of them.
        ended = {name: one for name, one in self._ended.items() if name not in self._running}
        if not ended:
            return
        free = [name for name, one in ended.items() if one.is_free]
        await self._store.release(free, [name for name in ended if name not in free])
        for name in ended:
            self._ended.pop(name, None)

    # Which store decides.

    def _postgresql_answers(self) -> bool:
        return time.monotonic() - self._heard_at < AWAY_S

    async def _decided(self, until: float) -> Mode:
        """Return the mode once a store decides; raises ``HoldsUnavailable``."""
        while True:
            mode = self._mode
            if mode is not None and self._is_decided(mode):
                return mode
            if mode is None or time.monotonic() >= until or not self._postgresql_answers():
                raise HoldsUnavailable
            await asyncio.sleep(_LOOK_S)

    def _is_decided(self, mode: Mode) -> bool:
        if mode.is_degraded:
            return mode.is_open and self._followed >= mode.period and self._postgresql_answers()
        if time.monotonic() - self._seen_at > LOST_S:
            raise HoldsUnavailable(retry_after_s=5.0)
        return not self._breaker.failures and not self._breaker.is_open

    def _is_over(self, mode: Mode) -> bool:
        return self._mode is None or self._mode.period != mode.period

    # By Valkey.

    async def _place_here(self, mode: Mode, ask: Ask) -> Hold | None:
        try:
            hold = await super().place(ask)
        except HoldsUnavailable as exc:
            if self._is_over(mode) or self._breaker.failures or self._breaker.is_open:
                return None
            if exc.retry_after_s:
                raise
            # PostgreSQL decides, as another process has found: we hear of it at the next beat.
            self._wake()
            await asyncio.sleep(_LOOK_S)
            return None
        if self._is_over(mode):
            # Told after this process had said what it holds: by then nobody counted it.
            self._running.pop(ask.request_id, None)
            return None
        if self._doubtful:
            self._doubtful = [one for one in self._doubtful if one.request_id != ask.request_id]
        return hold

    async def _extend_here(self, mode: Mode, hold: Hold, tokens: int, until: float) -> int | None:
        amount, output = hold.amount_nano, hold.output_tokens
        try:
            granted = await super().extend(hold, tokens)
        except HoldsUnavailable:
            if time.monotonic() >= until:
                raise
            if not self._is_over(mode) and not self._breaker.failures and not self._breaker.is_open:
                await self._know_again(hold, until)
            return None
        if self._is_over(mode):
            hold.amount_nano, hold.output_tokens = amount, output
            return None
        return granted

    async def _know_again(self, hold: Hold, until: float) -> None:
        """Have the wallet of a running request opened that Valkey has forgotten, together with its hold."""
        try:
            await self._open_once(hold.ask.organization_id)
        except HoldsUnavailable as exc:
            await asyncio.sleep(min(max(exc.retry_after_s, BRISK_S), max(0.0, until - time.monotonic())))

    # By PostgreSQL.

    async def _place_there(self, mode: Mode, ask: Ask, until: float) -> Hold | None:
        limits = self._limits.take(ask, mode.processes, mode.rank)
        answer: Answer | None = None
        try:
            ended = [n for n, one in self._ended.items() if one.organization_id == ask.organization_id]
            answer = await self._asked(
                lambda: self._store.place(mode.period, ask, ended), until, doubtful=ask
            )
        finally:
            if answer is None or answer.status:
                self._limits.give_back(ask, mode.processes, mode.rank)
        if answer is None:
            self._wake()
            return None
        if answer.status:
            raise refusal(_as_lua(answer, limits), ask.budgets, at=self._clock())
        amount, output, left, _ = answer.numbers
        hold = Hold(ask, amount, output, left, limits, has_row=True)
        self._running[ask.request_id] = hold
        self.placed += 1
        return hold

    async def _extend_there(self, mode: Mode, hold: Hold, tokens: int, until: float) -> int | None:
        found = await self._asked(lambda: self._store.extend(mode.period, hold.ask, tokens), until)
        if found is None:
            self._wake()
            return None
        granted: int = found[0]
        if granted < 0:
            raise HoldsUnavailable
        hold.amount_nano += found[1]
        hold.output_tokens += granted
        return granted

    async def _asked(
        self, ask_store: Callable[[], Awaitable[Any]], until: float, *, doubtful: Ask | None = None
    ) -> Any:
        """Ask PostgreSQL in turn; raises ``HoldsUnavailable`` where the turn, or the answer, does not come in time."""
        if self._waiting >= MOST_WAITING:
            raise HoldsUnavailable
        self._waiting += 1
        task = asyncio.ensure_future(self._in_turn(ask_store, until))
        try:
            done, _ = await asyncio.wait({task}, timeout=max(0.0, until - time.monotonic()))
            if done:
                return task.result()
        except asyncio.CancelledError:
            raise
        except HoldsUnavailable:
            raise
        except Exception as exc:
            self._doubt(doubtful)
            raise HoldsUnavailable from exc
        finally:
            self._waiting -= 1
        # What comes too late is given back.
        task.add_done_callback(lambda late: self._come_too_late(late, doubtful))
        raise HoldsUnavailable

    async def _in_turn(self, ask_store: Callable[[], Awaitable[Any]], until: float) -> Any:
        async with self._slots:
            if time.monotonic() >= until:
                raise HoldsUnavailable
            return await ask_store()

    def _come_too_late(self, late: asyncio.Future[Any], ask: Ask | None) -> None:
        if not late.cancelled():
            # Marks an error as seen.
            late.exception()
        self._doubt(ask)

    def _doubt(self, ask: Ask | None) -> None:
        if ask is not None:
            self._ended[ask.request_id] = _Ended(ask.organization_id, is_free=True)


def _registered(hold: Hold) -> RegisteredHold:
    ask = hold.ask
    members = (subject for subject in ask.budgets[::3] if str(subject).startswith("user"))
    return RegisteredHold(
        ask.organization_id,
        ask.request_id,
        ask.key_id,
        hold.amount_nano,
        is_running=True,
        member=str(next(members, "")),
    )


def _as_lua(answer: Answer, limits: Limits) -> list[Any]:
    requests, tokens = limits.requests, limits.tokens
    return [
        answer.status, *answer.numbers, requests.limit, requests.remaining, requests.reset_ms, tokens.limit,
        tokens.remaining, tokens.reset_ms, answer.budget,
    ]  # fmt: skip
