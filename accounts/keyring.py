"""DOOR: whose token this is, from this process's memory; the store is asked through an injected loader.

Nothing here knows a table. Secrets are not kept: entries are found by the keyed digest of a token. Instances
belong to one event loop. What must hold:

- a key that was forgotten is never served from memory again, not even by a load that was under way meanwhile;
- a store that does not answer is never the caller's fault: keys known for less than 15 minutes keep working,
  others get ``KeyringUnavailable``;
- memory is bounded, whatever tokens strangers try.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from accounts import tokens
from fastanchor.lib.networks import Network

logger = logging.getLogger(__name__)

TIME_TO_LIVE_S = 30.0
# The same while nobody can tell us of changes.
DEAF_S = 1.0
UNKNOWN_FOR_S = 5.0
STALE_FOR_S = 15 * 60.0
MAX_CALLERS = 50_000
MAX_UNKNOWN = 10_000
MAX_LOADS = 16
MAX_WAITING = 1_000
# How long a load may take, its turn included, and how long a caller waits for it with a stale answer at hand.
LOAD_TIMEOUT_S = 3.0
REFRESH_WAIT_S = 0.25
# After a failed refresh stale answers are given at once for this long.
REST_S = 1.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who may call, with the limits in force; 0 for no own limit."""

    key_id: str
    organization_id: str
    plan: str
    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int
    key_requests_per_minute: int = 0
    key_tokens_per_minute: int = 0
    # Subject (the key, the member who made it, or the organization), window, nano-USD; and so on.
    budgets: tuple[str | int, ...] = ()
    # The member, where it has a budget.
    member: str = ""
    allowed_models: frozenset[str] = frozenset()
    # From where the key may be used; from everywhere where there are none.
    networks: tuple[Network, ...] = ()
    expires_at: int = 0
    revoked: bool = False
    priority: int = 0
    # Prompts and answers are kept, because the organization asked for it.
    keeps_contents: bool = False
    # Why it counts as revoked: staff lets nobody of the organization in. So a call that is served looks once.
    frozen: bool = False


class InvalidKey(Exception):
    """The token opens nothing; ``reason`` is ``malformed``, ``unknown``, ``revoked``, ``expired`` or ``frozen``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeyringUnavailable(Exception):
    """Whose token it is cannot be said now, because the store does not answer."""


# Finds the caller of any of these digests of one token; ``None`` when there is none; raises when it cannot tell.
Load = Callable[[list[bytes]], Awaitable[Caller | None]]
_LoadTask = asyncio.Task[Caller | None]


class Keyring:
    """Callers by token: a bounded memory in front of the store."""

    def __init__(
        self,
        load: Load,
        peppers: Sequence[bytes],
        *,
        max_callers: int = MAX_CALLERS,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._load = load
        self._peppers = tuple(peppers)
        self._newest = self._peppers[0]
        self._clock = clock
        self._wall = wall
        self._memory = _Memory(max_callers)
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._loads: dict[bytes, _LoadTask] = {}
        self._running: set[_LoadTask] = set()
        self._slots = asyncio.Semaphore(MAX_LOADS)
        self._generation = 0
        self._rest_until = float("-inf")
        self._fresh_s = TIME_TO_LIVE_S

    def be_deaf(self, *, is_deaf: bool) -> None:
        """Trust memory for a second only, as long as changes cannot be heard, and ask for every key again after it.

        None is forgotten, for the store may be away as well, and whoever is known is served then.
        """
        self._fresh_s = DEAF_S if is_deaf else TIME_TO_LIVE_S
        if not is_deaf:
            self._distrust_running_loads()
            self._memory.grow_old(self._clock() - TIME_TO_LIVE_S)
            self._unknown.clear()

    def peek(self, token: str) -> Caller | None:
        """Return the caller if memory holds a fresh, valid one; never waits."""
        if not token.isascii():
            return None
        caller = self._memory.younger_than(self._fresh_s, tokens.digest(token, self._newest), self._clock())
        if caller is None or self._refusal(caller):
            return None
        return caller

    async def caller(self, token: str) -> Caller:
        """Return the caller of a token; raises ``InvalidKey`` or ``KeyringUnavailable``."""
        if not tokens.is_well_formed(token):
            raise InvalidKey("malformed")
        digests = tokens.digests(token, self._peppers)
        caller = self._memory.younger_than(self._fresh_s, digests[0], self._clock()) or await self._ask(
            digests
        )
        refusal = self._refusal(caller)
        if refusal:
            raise InvalidKey(refusal)
        return caller

    async def hear(self, message: str | None) -> None:
        """Forget what an announcement on the topic ``keys`` names; everything when it names nothing known."""
        kind, _, name = (message or "").partition(":")
        if kind == "key":
            self.forget(name)
        elif kind == "organization":
            self.forget_organization(name)
        else:
            self.forget_all()

    def forget(self, key_id: str) -> None:
        """Drop one key, so that its next use asks the store."""
        self._distrust_running_loads()
        self._memory.drop_key(key_id)

    def forget_organization(self, organization_id: str) -> None:
        """Drop all keys of an organization."""
        self._distrust_running_loads()
        self._memory.drop_organization(organization_id)

    def forget_all(self) -> None:
        """Drop everything."""
        self._distrust_running_loads()
        self._memory.clear()
        self._unknown.clear()

    def _distrust_running_loads(self) -> None:
        # They may have read what was true before the change: none is kept, and nobody new joins them.
        self._generation += 1
        self._loads.clear()

    def _refusal(self, caller: Caller) -> str:
        if caller.revoked:
            return "frozen" if caller.frozen else "revoked"
        return "expired" if 0 < caller.expires_at <= self._wall() else ""

    async def _ask(self, digests: list[bytes]) -> Caller:
        """Return what the store says; a stale answer if the store says nothing."""
        digest = digests[0]
        if self._unknown.get(digest, 0.0) > self._clock():
            raise InvalidKey("unknown")
        stale = self._memory.younger_than(STALE_FOR_S, digest, self._clock())
        if stale is not None and self._clock() < self._rest_until:
            return stale
        task = self._loads.get(digest) or self._start_load(digests)
        # The load ends by itself; asyncio.wait leaves it alone when this waiter goes, for others may be waiting.
        await asyncio.wait({task}, timeout=None if stale is None else REFRESH_WAIT_S)
        if not task.done() or task.cancelled() or task.exception() is not None:
            return self._without_the_store(digest)
        loaded = task.result()
        if loaded is None:
            raise InvalidKey("unknown")
        return loaded

    def _without_the_store(self, digest: bytes) -> Caller:
        # Looked up again: the key may have been forgotten while we waited.
        stale = self._memory.younger_than(STALE_FOR_S, digest, self._clock())
        if stale is None:
            raise KeyringUnavailable
        self._rest_until = self._clock() + REST_S
        return stale

    def _start_load(self, digests: list[bytes]) -> _LoadTask:
        if len(self._running) >= MAX_WAITING:
            raise KeyringUnavailable
        task = asyncio.get_running_loop().create_task(self._load_once(digests), name="keyring-load")
        self._loads[digests[0]] = task
        self._running.add(task)
        task.add_done_callback(lambda done: self._end_load(digests[0], done))
        return task

    async def _load_once(self, digests: list[bytes]) -> Caller | None:
        generation = self._generation
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S), self._slots:
                caller = await self._load(digests)
        except Exception:
            logger.exception("keyring.load_failed")
            raise
        if generation == self._generation:
            self._keep(digests[0], caller)
        return caller

    def _keep(self, digest: bytes, caller: Caller | None) -> None:
        if caller is not None:
            self._memory.put(digest, caller, self._clock())
            return
        self._memory.drop(digest)
        self._unknown[digest] = self._clock() + UNKNOWN_FOR_S
        if len(self._unknown) > MAX_UNKNOWN:
            self._unknown.popitem(last=False)

    def _end_load(self, digest: bytes, task: _LoadTask) -> None:
        self._running.discard(task)
        if self._loads.get(digest) is task:
            del self._loads[digest]
        if not task.cancelled():
            # Marks the error as seen; it was logged, and perhaps every waiter has left.
            task.exception()


class _Memory:
    """Callers by digest, the least recently used dropped first, also found by key and organization."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        # Two while a key is rotated.
        self._by_key: defaultdict[str, set[bytes]] = defaultdict(set)
        self._by_organization: defaultdict[str, set[bytes]] = defaultdict(set)

    def younger_than(self, age: float, digest: bytes, now: float) -> Caller | None:
        entry = self._entries.get(digest)
        if entry is None or now - entry[1] >= age:
            return None
        self._entries.move_to_end(digest)
        return entry[0]

    def grow_old(self, read_at: float) -> None:
        """Take all for read at a moment, or before it."""
        for digest, (caller, at) in list(self._entries.items()):
            self._entries[digest] = (caller, min(at, read_at))

    def put(self, digest: bytes, caller: Caller, now: float) -> None:
        self.drop(digest)
        self._entries[digest] = (caller, now)
        self._by_key[caller.key_id].add(digest)
        self._by_organization[caller.organization_id].add(digest)
        if len(self._entries) > self._limit:
            self.drop(next(iter(self._entries)))

    def drop(self, digest: bytes) -> None:
        entry = self._entries.pop(digest, None)
        if entry is None:
            return
        caller = entry[0]
        for index, name in ((self._by_key, caller.key_id), (self._by_organization, caller.organization_id)):
            index[name].discard(digest)
            if not index[name]:
                del index[name]

    def drop_key(self, key_id: str) -> None:
        for digest in list(self._by_key.get(key_id, ())):
            self.drop(digest)

    def drop_organization(self, organization_id: str) -> None:
        for digest in list(self._by_organization.get(organization_id, ())):
            self.drop(digest)

    def clear(self) -> None:
        self._entries.clear()
        self._by_key.clear()
        self._by_organization.clear()
