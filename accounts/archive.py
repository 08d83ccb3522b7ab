"""DOOR: responses that are kept for later requests; PostgreSQL is asked through injected loaders.

Nothing here knows a table. Instances belong to one event loop. What must hold:

- what belongs to one organization is found by no other;
- nobody waits longer than ``wait_s`` for the store, and one that does not answer is never the caller's fault;
- what waits for the store is bounded, and few of the loaders' threads are used, so that keys are still found;
- while the store keeps silent, hardly anyone waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import Raw

from fastanchor.lib.lanes import Lane

Status = Literal["in_progress", "completed", "incomplete", "failed", "cancelled"]

MAX_BYTES = 4 * 1024 * 1024
WAIT_S = 2.0
# Together half of the loaders' threads.
READERS = WRITERS = 2
# The process that works on a response renews its lease well before the end.
LEASE_S = 60.0


class ArchiveUnavailable(Exception):
    """The store does not answer now."""


class ArchiveFull(Exception):
    """The organization keeps as much as it may."""


class Body(msgspec.Struct):
    """What is sealed: the response as its format writes it, and every item that came before its output."""

    response: Raw
    input: list[Raw]

    def encode(self) -> bytes:
        """Write it as it is sealed."""
        return msgspec.json.encode(self)


@dataclass(frozen=True, slots=True)
class Kept:
    """One response of one organization; ``created_at`` counts seconds."""

    id: str
    organization_id: str
    key_id: str
    model_id: str
    status: Status
    created_at: int
    body: bytes
    is_background: bool = False

    def read(self) -> Body:
        """Return the body in its parts."""
        return msgspec.json.decode(self.body, type=Body)

    def turned(self, status: Status, error: dict[str, str] | None = None) -> Kept:
        """Return the same response in another status, in its body, too."""
        body = self.read()
        response: dict[str, Any] = msgspec.json.decode(body.response)
        response |= {"status": status, "error": error}
        body.response = Raw(msgspec.json.encode(response))
        return replace(self, status=status, body=body.encode())


@dataclass(frozen=True, slots=True)
class Loaders:
    """What the archive needs of the store; each raises when it cannot tell.

    ``save`` and ``finish`` must leave no trace when they end after the moment (unix seconds) they are given.
    """

    save: Callable[[Kept, float], Awaitable[None]]
    find: Callable[[str, str], Awaitable[Kept | None]]
    delete: Callable[[str, str], Awaitable[bool]]
    cancel: Callable[[str, str], Awaitable[Kept | None]]
    finish: Callable[[Kept, float], Awaitable[bool]]
    # Returns those that are still to be worked on.
    renew: Callable[[list[str]], Awaitable[set[str]]]


class Archive:
    """Responses by organization and id; every method raises ``ArchiveUnavailable``."""

    def __init__(self, loaders: Loaders, *, max_bytes: int = MAX_BYTES, wait_s: float = WAIT_S) -> None:
        self.max_bytes = max_bytes
        self._loaders = loaders
        self._wait_s = wait_s
        # Whoever asks without end keeps no answer from being written.
        self._reads = _lane(READERS, wait_s)
        self._writes = _lane(WRITERS, wait_s)

    async def keep(self, kept: Kept) -> None:
        """Keep a response; after an ``ArchiveUnavailable`` or ``ArchiveFull`` it is not kept."""
        until = time.time() + self._wait_s
        await self._writes.pass_through(lambda: self._loaders.save(kept, until), size=len(kept.body))

    async def find(self, organization_id: str, response_id: str) -> Kept | None:
        """Return a response, unless it is unknown, expired, or belongs to someone else."""
        load = partial(self._loaders.find, organization_id, response_id)
        return await self._reads.pass_through(load, who=organization_id)

    async def delete(self, organization_id: str, response_id: str) -> bool:
        """Delete a response and tell whether there was one; work on it ends."""
        load = partial(self._loaders.delete, organization_id, response_id)
        return await self._reads.pass_through(load, who=organization_id)

    async def cancel(self, organization_id: str, response_id: str) -> Kept | None:
        """Cancel a response that is worked on in the background, and return it; one that has ended stays."""
        load = partial(self._loaders.cancel, organization_id, response_id)
        return await self._reads.pass_through(load, who=organization_id)

    async def finish(self, kept: Kept) -> bool:
        """Put an end to a response that was in progress; ``False`` where it was cancelled or deleted meanwhile."""
        until = time.time() + self._wait_s
        return await self._writes.pass_through(lambda: self._loaders.finish(kept, until), size=len(kept.body))

    async def renew(self, response_ids: Collection[str]) -> set[str]:
        """Renew the leases of responses in progress and return those that still are."""
        return await self._writes.pass_through(partial(self._loaders.renew, list(response_ids)))


def _lane(slots: int, wait_s: float) -> Lane:
    return Lane("archive", slots=slots, wait_s=wait_s, away=ArchiveUnavailable, passed_on=(ArchiveFull,))
