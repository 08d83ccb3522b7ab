"""DOOR: prompts and answers that an organization has asked us to keep; PostgreSQL is asked through an injected loader.

Nothing here knows a table. What must hold:

- nothing is kept of an organization that has not opted in;
- keeping happens after the answer has been sent: nobody waits for it, and nothing fails with it;
- what waits for the store is bounded; what does not fit, or comes while the store is away, is not kept.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastanchor.lib.lanes import Lane

logger = logging.getLogger(__name__)

WAIT_S = 10.0
WRITERS = 1


class ContentsUnavailable(Exception):
    """The store does not take anything now."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one request asked and was answered, as bytes of the wire; each may be cut at the most that is kept."""

    request_id: str
    organization_id: str
    asked: bytes
    answered: bytes
    is_cut: bool = False

    @property
    def size(self) -> int:
        """Both sides together, in bytes."""
        return len(self.asked) + len(self.answered)


# Raises when it cannot keep; must leave no trace when it ends after the moment (unix seconds) it is given.
Save = Callable[[Content, float], Awaitable[None]]


class Contents:
    """The way of contents into the store; instances belong to one event loop."""

    def __init__(self, save: Save, *, max_bytes: int, wait_s: float = WAIT_S) -> None:
        self.max_bytes = max_bytes
        self._save = save
        self._wait_s = wait_s
        self._lane = Lane("contents", slots=WRITERS, wait_s=wait_s, away=ContentsUnavailable)

    async def keep(self, content: Content) -> None:
        """Keep a content; what cannot be kept is logged by its request's id alone."""
        until = time.time() + self._wait_s
        try:
            await self._lane.pass_through(
                lambda: self._save(content, until), who=content.organization_id, size=content.size
            )
        except ContentsUnavailable:
            logger.warning("contents.not_kept", extra={"request": content.request_id})
