"""Verdicts of upstreams on our credentials, on their way from the hot path to PostgreSQL.

This is a door: it knows neither the ORM nor Django. What saves a verdict is a function passed in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

PAUSE_S = 1.0
# More different ones wait only when something else is very wrong; each process leaves what it refused alone anyway.
MAX_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """An upstream refused a credential, as ``catalog.snapshot.Channel.credential`` names it."""

    credential: str
    reason: str


class Verdicts:
    """Saves verdicts in the background; what cannot be saved now is tried again until it can."""

    def __init__(self, save: Callable[[Refusal], Awaitable[object]], *, pause_s: float = PAUSE_S) -> None:
        self._save = save
        self._pause_s = pause_s
        self._waiting: dict[str, Refusal] = {}
        self._has_news = asyncio.Event()

    def tell(self, refusal: Refusal) -> None:
        """Take a verdict; returns at once."""
        if refusal.credential in self._waiting or len(self._waiting) < MAX_WAITING:
            self._waiting[refusal.credential] = refusal
            self._has_news.set()

    async def run(self) -> None:
        """Save what is told until cancelled."""
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            for refusal in list(self._waiting.values()):
                await self._try_to_save(refusal)
            if self._waiting:
                await asyncio.sleep(self._pause_s)
                self._has_news.set()

    async def _try_to_save(self, refusal: Refusal) -> None:
        try:
            await self._save(refusal)
        except Exception:
            logger.exception("catalog.verdict_not_saved", extra={"credential": refusal.credential})
        else:
            self._waiting.pop(refusal.credential, None)
