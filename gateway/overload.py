"""Who is served when more calls come than this process can work on, and who is told to come back.

A process works on so many calls at once. Short of that, the lower plans stop first: what is left is for those above
them. Whoever finds no room waits a moment for some, higher plans before lower ones, and is then told to come back:
503 with ``retry-after``, before the body is read and anything is held. While there is room, all of this is one
comparison.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import Counter
from collections.abc import Sized

from gateway.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

WAIT_S = 1.0
LOOK_EVERY_S = 0.02
# The share of the places, in percent, that is open to plans of at most this priority; all are to those above.
_SHARES = ((0, 80), (10, 95))
_CALM = _SHARES[0][1]

_Waiter = tuple[int, int, asyncio.Future[bool]]


class Capacity:
    """The places of one process; ``running`` is the set of its calls, of which some wait here."""

    def __init__(self, running: Sized, most: int) -> None:
        self._running = running
        self._most = most
        # Up to here nobody needs to ask for a turn.
        self.calm = most * _CALM // 100
        # Those who were told to come back, by priority, since this was last reported.
        self.shed: Counter[int] = Counter()
        self._waiting: list[_Waiter] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, priority: int) -> None:
        """Wait for a place; raises ``ServiceUnavailable`` when there is none in time."""
        # Whoever asks is in the set already.
        if self._has_room(priority, asking=1) and not self._is_behind(priority):
            return
        if not await self._wait(priority):
            self.shed[priority] += 1
            message = "Too many requests are being served right now. Try again soon."
            raise ServiceUnavailable(message, retry_after_s=1)

    async def _wait(self, priority: int) -> bool:
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiter = (-priority, next(self._numbers), place)
        heapq.heappush(self._waiting, waiter)
        if len(self._waiting) > max(1, self._most // 4):
            self._send_away(max(self._waiting))
        self._look_soon()
        try:
            async with asyncio.timeout(WAIT_S):
                return await place
        except TimeoutError:
            return False
        finally:
            if waiter in self._waiting:
                self._remove(waiter)

    def _look(self) -> None:
        self._timer = None
        while self._waiting and self._has_room(-self._waiting[0][0]):
            _answer(heapq.heappop(self._waiting), has_place=True)
        self._look_soon()

    def _look_soon(self) -> None:
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _send_away(self, waiter: _Waiter) -> None:
        self._remove(waiter)
        _answer(waiter, has_place=False)

    def _remove(self, waiter: _Waiter) -> None:
        self._waiting.remove(waiter)
        heapq.heapify(self._waiting)

    def _has_room(self, priority: int, *, asking: int = 0) -> bool:
        busy = len(self._running) - len(self._waiting) - asking
        return busy < max(1, self._most * _share(priority) // 100)

    def _is_behind(self, priority: int) -> bool:
        return bool(self._waiting) and -self._waiting[0][0] >= priority

    def report(self) -> None:
        """Write down who was told to come back since the last time."""
        if self.shed:
            by_priority = ", ".join(f"{priority}: {count}" for priority, count in sorted(self.shed.items()))
            extra = {"shed": self.shed.total(), "by_priority": by_priority, "running": len(self._running)}
            logger.warning("gateway.overloaded", extra=extra)
            self.shed.clear()


def _share(priority: int) -> int:
    return next((share for most, share in _SHARES if priority <= most), 100)


def _answer(waiter: _Waiter, *, has_place: bool) -> None:
    # One whose time is up just now is about to leave by itself.
    if not waiter[2].done():
        waiter[2].set_result(has_place)
