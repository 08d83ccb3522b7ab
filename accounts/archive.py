"""DOOR: responses that are kept for later requests; PostgreSQL is asked through injected loaders.

Nothing here knows a table. Instances belong to one event loop. What must hold:

- what belongs to one organization is found by no other;
- nobody waits longer than ``wait_s`` for the store, and one that does not answer is never the caller's fault;
- what waits for the store is bounded, and few of the loaders' threads are used, so that keys are still found;
- while the store keeps silent, hardly anyone waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Raw

logger = logging.getLogger(__name__)

T = TypeVar("T")
Status = Literal["in_progress", "completed", "incomplete", "failed", "cancelled"]

MAX_BYTES = 4 * 1024 * 1024
WAIT_S = 2.0
# Together half of the loaders' threads.
READERS = WRITERS = 2
MAX_WAITING = 1_000
# Of these, reads of one organization.
MAX_OF_ONE = 200
# After so many waits in vain, one after the other, nobody waits for a moment.
MAX_SILENT = 4
REST_S = 1.0
MAX_WAITING_BYTES = 64 * 1024 * 1024
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
        self._reads = _Lane(READERS, wait_s)
        self._writes = _Lane(WRITERS, wait_s)

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


class _Lane:
    """A way to the store for a few at a time; those who wait are bounded in number, bytes and seconds."""

    def __init__(self, slots: int, wait_s: float) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._wait_s = wait_s
        self._running: set[asyncio.Task[Any]] = set()
        self._by_organization: Counter[str] = Counter()
        self._waiting_bytes = 0
        self._silent = 0
        self._rest_until = float("-inf")

    async def pass_through(self, load: Callable[[], Awaitable[T]], *, who: str = "", size: int = 0) -> T:
        """Return what the store says; ``who`` has a share of the lane, where one is named."""
        now = time.monotonic()
        if now < self._rest_until or self._is_full(who, size):
            raise ArchiveUnavailable
        task = asyncio.get_running_loop().create_task(self._load(load, now + self._wait_s), name="archive")
        self._running.add(task)
        self._by_organization[who] += 1
        self._waiting_bytes += size
        task.add_done_callback(lambda done: self._end(done, who, size))
        # A thread cannot be stopped: its task keeps the slot until it ends, whoever has stopped waiting.
        await asyncio.wait({task}, timeout=self._wait_s)
        self._note_silence(is_silent=not task.done())
        if not task.done() or task.cancelled():
            raise ArchiveUnavailable
        if (error := task.exception()) is not None:
            raise ArchiveFull if isinstance(error, ArchiveFull) else ArchiveUnavailable
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
                raise ArchiveUnavailable
            return await load()

    def _end(self, task: asyncio.Task[Any], who: str, size: int) -> None:
        self._running.discard(task)
        self._by_organization[who] -= 1
        if not self._by_organization[who]:
            del self._by_organization[who]
        self._waiting_bytes -= size
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ArchiveUnavailable | ArchiveFull):
            # The kind alone: a message of the store may quote what was to be kept.
            logger.error("archive.store_failed", extra={"error": type(error).__name__})
