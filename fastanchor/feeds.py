"""Feeds: what an organization's open dashboards show, rendered once for all of them.

The shipper publishes on ``fa:live:<organization>`` after its commit. One subscriber per process hears it and wakes the
feed of that organization, the feed renders once in a thread of its own, and every open tab picks up what it has not
sent yet. A slow tab skips frames, so nothing piles up. A feed also renders without being woken, every
``heartbeat_s``: that shows top-ups and holds, and makes a lost message late instead of missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import redis.asyncio
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from redis.exceptions import RedisError

from billing.announcements import live_channel

logger = logging.getLogger(__name__)
T = TypeVar("T")

_RECONNECT_S = 0.5
_IDLE_S = 0.25

# Open tabs of this process by organization, whatever they show.
tabs: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two renders at least, between two signs of life, between two looks at the viewer's rights."""

    least_gap_s: float = 0.25
    heartbeat_s: float = 15.0
    recheck_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Frame:
    """All that a tab may need at one moment: the sections by name and the rows by request id, newest first."""

    sections: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str], ...]


class Watched(Protocol):
    """Whose page is open: an organization, or what has a page of its own; ``id`` tells one from another."""

    @property
    def id(self) -> str:
        """What it is known by."""


# Each hub watches one kind, and its renderer takes that.
Renderer = Callable[[Any], Frame]


class Feed:
    """The newest frame of what is watched, rendered at most once per ``least_gap_s`` for all its tabs."""

    def __init__(self, hub: Hub, watched: Watched) -> None:
        self.changed = asyncio.Event()
        self.tabs = 0
        self._hub = hub
        self._watched = watched
        self._number = 0
        self._frame = Frame((), ())
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._run(), name=f"live-feed-{watched.id}")

    async def newer_than(self, number: int) -> tuple[int, Frame]:
        """Wait for a frame after ``number``, at most ``heartbeat_s``; then return the newest there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._hub.pace.heartbeat_s), self._news:
                await self._news.wait_for(
                    lambda: self._number > number or self._task.done() or self._hub.is_ending
                )
        if self._task.done():
            self._task.result()
        return self._number, self._frame

    def close(self) -> None:
        """Stop rendering."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await self._renew()
                await asyncio.sleep(self._hub.pace.least_gap_s)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), self._hub.pace.heartbeat_s)
        finally:
            await self.tell()

    async def _renew(self) -> None:
        self.changed.clear()
        try:
            frame = await self._hub.in_thread(lambda: self._hub.render(self._watched))
        except (DatabaseError, RedisError):
            logger.warning("live.render_failed", exc_info=True)
            return
        if frame != self._frame:
            self._frame = frame
            self._number += 1
            await self.tell()

    async def tell(self) -> None:
        """Let every tab look again."""
        async with self._news:
            self._news.notify_all()


class Hub:
    """One process's subscription, its feeds, and the one thread in which they use the database."""

    def __init__(self, render: Renderer, pace: Pace | None = None) -> None:
        self.render = render
        self.pace = pace or Pace()
        self.is_ending = False
        self._feeds: dict[str, Feed] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._listener: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def watching(self, watched: Watched) -> AsyncIterator[Feed]:
        """Count one open tab and give it the shared feed."""
        feed = self._feeds.get(watched.id)
        if feed is None:
            feed = self._feeds[watched.id] = Feed(self, watched)
        self._open()
        tabs[watched.id] += 1
        feed.tabs += 1
        try:
            yield feed
        finally:
            tabs[watched.id] -= 1
            if not tabs[watched.id]:
                del tabs[watched.id]
            feed.tabs -= 1
            if not feed.tabs:
                self._feeds.pop(watched.id).close()

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Run a function that uses the database beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _with_fresh_connection, call)

    async def end(self) -> None:
        """End every stream."""
        self.is_ending = True
        for feed in self._feeds.values():
            await feed.tell()

    async def closed(self) -> None:
        """Wait until nobody watches any more and the connections are given back."""
        if self._pool is not None and self._listener is not None:
            pool = self._pool
            await self._listener
            await asyncio.to_thread(pool.shutdown)

    def _open(self) -> None:
        if self._pool is None:
            # One thread is one connection; renders of all feeds queue here instead of crowding PostgreSQL.
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")
            self._listener = asyncio.create_task(self._serve(self._pool), name="live-listener")

    async def _serve(self, pool: ThreadPoolExecutor) -> None:
        try:
            while self._feeds:
                try:
                    await self._listen()
                except (RedisError, OSError):
                    await asyncio.sleep(_RECONNECT_S)
        finally:
            self._pool = None
            pool.submit(connections.close_all)
            pool.shutdown(wait=False)

    async def _listen(self) -> None:
        async with (
            redis.asyncio.Redis.from_url(settings.REDIS_URL) as client,
            client.pubsub(ignore_subscribe_messages=True) as pubsub,
        ):
            await pubsub.psubscribe(live_channel("*"))
            # It ends by itself when the last tab is gone: a subscription cancelled while it connects may hang.
            while self._feeds:
                message = await pubsub.get_message(timeout=_IDLE_S)
                if message is not None:
                    self.wake(message["channel"].decode().removeprefix(live_channel("")), message["data"])

    def wake(self, organization_id: str, told: bytes) -> None:
        """Let a feed render again, for the shipper has told the ids of new records."""
        feed = self._feeds.get(organization_id)
        if feed is not None:
            feed.changed.set()


def _with_fresh_connection(call: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return call()
    finally:
        close_old_connections()
