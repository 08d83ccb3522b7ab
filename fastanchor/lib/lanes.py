"""A way to a store for a few at a time, so that whoever asks without end keeps nobody else waiting.

Nothing here knows what the store is: it is asked through coroutines passed in. Instances belong to one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_WAITING = 1_000
# Of these, calls of one organization.
MAX_OF_ONE = 200
# After so many waits in vain, one after the other, nobody waits for a moment.
MAX_SILENT = 4
REST_S = 1.0
MAX_WAITING_BYTES = 64 * 1024 * 1024


class Lane:
    """Those who wait are bounded in number, bytes and seconds.

    ``away`` is raised when the store does not answer in time or fails; errors of the kind ``passed_on`` are the store's
    answer, and raised anew. ``name`` is what a failure is logged under.
    """

    def __init__(
        self,
        name: str,
        *,
        slots: int,
        wait_s: float,
        away: type[Exception],
        passed_on: tuple[type[Exception], ...] = (),
    ) -> None:
        self._name = name
        self._slots = asyncio.Semaphore(slots)
        self._wait_s = wait_s
        self._away = away
        self._passed_on = passed_on
        self._running: set[asyncio.Task[Any]] = set()
        self._by_organization: Counter[str] = Counter()
        self._waiting_bytes = 0
        self._silent = 0
        self._rest_until = float("-inf")

    async def pass_through(self, load: Callable[[], Awaitable[T]], *, who: str = "", size: int = 0) -> T:
        """Return what the store says; ``who`` has a share of the lane, where one is named."""
        now = time.monotonic()
        if now < self._rest_until or self._is_full(who, size):
            raise self._away
        task = asyncio.get_running_loop().create_task(self._load(load, now + self._wait_s), name=self._name)
        self._running.add(task)
        self._by_organization[who] += 1
        self._waiting_bytes += size
        task.add_done_callback(lambda done: self._end(done, who, size))
        # A thread cannot be stopped: its task keeps the slot until it ends, whoever has stopped waiting.
        await asyncio.wait({task}, timeout=self._wait_s)
        self._note_silence(is_silent=not task.done())
        if not task.done() or task.cancelled():
            raise self._away
        if (error := task.exception()) is not None:
            raise error if isinstance(error, self._passed_on) else self._away
        return task.result()

    def _is_full(self, who: str, size: int) -> bool:
        if who and self._by_organization[who] >= MAX_OF_ONE:
            return True
        return len(self._running) >= MAX_WAITING or self._waiting_bytes + size > MAX_WAITING_BYTES

    def _note_silence(self, *, is_silent: bool) -> None:
        self._silent = self._silent + 1 if is_silent else 0
        if self._silent >= MAX_SILENT:
            self._rest_until = time.monotonic() + REST_S

    async def _load(self, load: Callable[[], Awaitable[T]], until: float) -> T:
        async with self._slots:
            if time.monotonic() >= until:
                raise self._away
            return await load()

    def _end(self, task: asyncio.Task[Any], who: str, size: int) -> None:
        self._running.discard(task)
        self._by_organization[who] -= 1
        if not self._by_organization[who]:
            del self._by_organization[who]
        self._waiting_bytes -= size
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, (self._away, *self._passed_on)):
            # The kind alone: a message of the store may quote what was to be kept.
            logger.error("%s.store_failed", self._name, extra={"error": type(error).__name__})
