"""DOOR: holds that are decided by Valkey, and by PostgreSQL while Valkey is away; without the ORM.

``SteadyHolds`` is what a gateway process uses. It follows which store decides (``billing.periods``) and lets a request
wait for a moment when neither does. What must hold: no hold is placed in Valkey after this process has told PostgreSQL
what it holds, and an answer that arrives from there later counts for nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from billing.holds import Ask, Hold, Holds, HoldsUnavailable, Opener, RegisteredHold
from billing.local_limits import LocalLimits
from billing.periods import BRISK_S, LOOK_S, Periods
from billing.refusals import Limits, refusal
from billing.store import Answer, Mode, Moment, Store
from fastanchor.lib.valkey import TurnPipeline

# How long a request waits until either store decides, and for its turn at PostgreSQL.
PATIENCE_S = 5.0
AT_ONCE = 16
MOST_WAITING = 512


@dataclass(slots=True)
class _Ended:
    """A request that PostgreSQL still takes for a running one."""

    organization_id: str
    is_free: bool


class SteadyHolds(Holds):
    """Holds of one gateway process, whichever store decides; ``periods.run`` beside it in a task."""

    def __init__(
        self,
        pipeline: TurnPipeline,
        open_organization: Opener,
        store: Store,
        *,
        on_deaf: Callable[[bool], None] = lambda is_deaf: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``on_deaf`` is told when changes announced in Valkey cannot be heard any more, and when they can be again."""
        super().__init__(pipeline, open_organization, clock=clock)
        self._store = store
        # Which store decides.
        self.periods = Periods(pipeline, store, self, on_deaf)
        self._limits = LocalLimits(clock=time.monotonic)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._ended: dict[str, _Ended] = {}
        self.placed = 0
        self.refused = 0

    # What the stages ask.

    @property
    def is_degraded(self) -> bool:
        """Tell whether Valkey or PostgreSQL is away."""
        return self.periods.is_degraded

    async def place(self, ask: Ask) -> Hold:
        """Reserve as ``Holds.place`` does, by whichever store decides; waits for a moment when neither does."""
        until = time.monotonic() + PATIENCE_S
        try:
            while True:
                mode = await self.periods.decided(until)
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
            mode = await self.periods.decided(until)
            granted = await (
                self._extend_there(mode, hold, tokens, until)
                if mode.is_degraded
                else self._extend_here(mode, hold, tokens, until)
            )
            if granted is not None:
                return granted

    def settle(self, hold: Hold, *, cost_nano: int, tokens: int) -> None:
        """End the hold at its cost; its row, if it has one, ends with the settlement, or at once where it is free."""
        ask, mode = hold.ask, self.periods.mode
        if hold.has_row:
            self._ended[ask.request_id] = _Ended(ask.organization_id, is_free=not cost_nano)
        if mode is not None and mode.is_degraded:
            self._running.pop(ask.request_id, None)
            self._limits.correct(ask, tokens - ask.input_tokens, mode.processes, mode.rank)
        else:
            super().settle(hold, cost_nano=cost_nano, tokens=tokens)

    def renew(self) -> None:
        """Renew leases where Valkey decides; rows of PostgreSQL have none."""
        if self.periods.is_calm:
            super().renew()

    # What ``billing.periods`` asks.

    def facts(self) -> dict[str, int | bool]:
        """Return how many holds PostgreSQL placed for us, and how many requests found no store."""
        return {"placed": self.placed, "refused": self.refused}

    def turn(self, mode: Mode) -> None:
        """Begin anew: what the other store remembers is not the truth."""
        if mode.is_degraded:
            self._limits.forget()
        else:
            self._forget_epoch()
            self._doubtful.clear()

    def running(self) -> list[RegisteredHold]:
        """Return all that is held; PostgreSQL knows it by rows from now on."""
        for hold in self._running.values():
            hold.has_row = True
        return [_registered(hold) for hold in self._running.values()]

    async def release(self) -> None:
        """Tell which of the holds that have rows are over."""
        if not self._ended:
            return
        # One that is placed again meanwhile, after an answer was lost, is none of them.
        ended = {name: one for name, one in self._ended.items() if name not in self._running}
        free = [name for name, one in ended.items() if one.is_free]
        if ended:
            await self._store.release(free, [name for name in ended if name not in free])
        for name in ended:
            self._ended.pop(name, None)

    # By Valkey.

    async def _place_here(self, mode: Mode, ask: Ask) -> Hold | None:
        try:
            hold = await super().place(ask)
        except HoldsUnavailable as exc:
            if self.periods.is_over(mode) or not self.periods.is_calm:
                return None
            if exc.retry_after_s:
                raise
            # PostgreSQL decides, as another process has found: the next beat tells.
            self.periods.wake()
            await asyncio.sleep(LOOK_S)
            return None
        if self.periods.is_over(mode):
            # Told after this process had said what it holds: by then nobody counted it.
            self._running.pop(ask.request_id, None)
            return None
        if self._doubtful:
            self._doubtful = [one for one in self._doubtful if one.request_id != ask.request_id]
        return hold

    async def _extend_here(self, mode: Mode, hold: Hold, tokens: int, until: Moment) -> int | None:
        amount, output = hold.amount_nano, hold.output_tokens
        try:
            granted = await super().extend(hold, tokens)
        except HoldsUnavailable:
            if time.monotonic() >= until:
                raise
            if not self.periods.is_over(mode) and self.periods.is_calm:
                await self._know_again(hold, until)
            return None
        if self.periods.is_over(mode):
            hold.amount_nano, hold.output_tokens = amount, output
            return None
        return granted

    async def _know_again(self, hold: Hold, until: Moment) -> None:
        """Have the wallet of a running request opened that Valkey has forgotten, together with its hold."""
        try:
            await self._open_once(hold.ask.organization_id)
        except HoldsUnavailable as exc:
            await asyncio.sleep(min(max(exc.retry_after_s, BRISK_S), max(0.0, until - time.monotonic())))

    # By PostgreSQL.

    async def _place_there(self, mode: Mode, ask: Ask, until: Moment) -> Hold | None:
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
            self.periods.wake()
            return None
        if answer.status:
            raise refusal(_as_lua(answer, limits), ask.budgets, at=self._clock())
        amount, output, left, _ = answer.numbers
        hold = Hold(ask, amount, output, left, limits, has_row=True)
        self._running[ask.request_id] = hold
        self.placed += 1
        return hold

    async def _extend_there(self, mode: Mode, hold: Hold, tokens: int, until: Moment) -> int | None:
        found = await self._asked(lambda: self._store.extend(mode.period, hold.ask, tokens), until)
        if found is None:
            self.periods.wake()
            return None
        granted: int = found[0]
        if granted < 0:
            raise HoldsUnavailable
        hold.amount_nano += found[1]
        hold.output_tokens += granted
        return granted

    async def _asked(
        self, ask_store: Callable[[], Awaitable[Any]], until: Moment, *, doubtful: Ask | None = None
    ) -> Any:
        """Ask PostgreSQL in turn; raises ``HoldsUnavailable`` where the turn, or the answer, does not come in time."""
        if self._waiting >= MOST_WAITING:
            raise HoldsUnavailable
        self._waiting += 1
        task = asyncio.ensure_future(self._in_turn(ask_store, until))
        try:
            done, _ = await asyncio.wait({task}, timeout=max(0, until - time.monotonic()))
            if done:
                return task.result()
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

    async def _in_turn(self, ask_store: Callable[[], Awaitable[Any]], until: Moment) -> Any:
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
