"""What is done only for those who wait longer than a moment, with one timer for all of them.

A timer of its own costs a request as much as its limits, and nearly all are taken back unused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

AFTER_S = 0.125


class LongWaits:
    """Calls back whoever still waits after ``AFTER_S`` to twice as long; used from one event loop."""

    def __init__(self) -> None:
        self._younger: set[Callable[[], object]] = set()
        self._older: set[Callable[[], object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, callback: Callable[[], object]) -> None:
        """Start to wait; each wait needs a callback of its own."""
        self._younger.add(callback)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AFTER_S, self._turn)

    def end(self, callback: Callable[[], object]) -> None:
        """Wait no longer; safe when the callback has been called."""
        self._younger.discard(callback)
        self._older.discard(callback)

    def _turn(self) -> None:
        due, self._older, self._younger = self._older, self._younger, set()
        self._timer = asyncio.get_running_loop().call_later(AFTER_S, self._turn) if self._older else None
        for callback in due:
            callback()
