"""The dashboard's live stream: server-sent events that carry ready HTML.

The shipper publishes on ``fa:live:<organization>`` after its commit. One subscriber per process hears it and wakes the
feed of that organization, the feed renders once in a thread of its own, and every open tab picks up what it has not
sent yet. A slow tab skips frames, so nothing piles up. A feed also renders without being woken, every
``HEARTBEAT_S``: that shows top-ups and holds, and makes a lost message late instead of missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import TypeVar
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from django.contrib import auth
from django.db import DatabaseError, close_old_connections, connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET
from redis.exceptions import RedisError

from accounts.access import SignedInRequest, signed_in
from accounts.models import Membership, Organization
from fastanchor import dashboard

logger = logging.getLogger(__name__)
T = TypeVar("T")

PATTERN = "fa:live:*"
LEAST_GAP_S = 0.25
HEARTBEAT_S = 15.0
RECHECK_S = 60.0
RECONNECT_S = 0.5
IDLE_S = 1.0
MOST_TABS = 500
MOST_TABS_OF_ONE = 25

# Open streams of this process by organization.
_tabs: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who watches: checked again while the stream is open."""

    session_key: str
    organization: Organization


@dataclass(frozen=True, slots=True)
class Frame:
    """All that a tab may need at one moment: the sections by name and the rows by request id, newest first."""

    sections: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str], ...]


@signed_in
@require_GET
def stream(request: SignedInRequest) -> HttpResponseBase:
    """Send what changes on the dashboard until the reader leaves or may no longer see it."""
    organization = request.organization
    if _tabs[organization.id] >= MOST_TABS_OF_ONE or _tabs.total() >= MOST_TABS:
        return HttpResponse("Too many open dashboards.", status=503, headers={"Retry-After": "10"})
    viewer = Viewer(str(request.session.session_key), organization)
    # This thread sleeps for as long as the stream is open: it must not keep a connection to PostgreSQL.
    connections.close_all()
    unbuffered = {"X-Accel-Buffering": "no"}
    return StreamingHttpResponse(_events(viewer), content_type="text/event-stream", headers=unbuffered)


async def _events(viewer: Viewer) -> AsyncIterator[bytes]:
    hub = _hub()
    async with hub.watching(viewer.organization) as feed:
        yield b"retry: 2000\n\n"
        async for chunk in _tab(hub, feed, viewer):
            yield chunk


async def _tab(hub: Hub, feed: Feed, viewer: Viewer) -> AsyncIterator[bytes]:
    sent = Frame((), ())
    number = 0
    checked_at = time.monotonic()
    while True:
        number, frame = await feed.newer_than(number)
        if time.monotonic() - checked_at >= RECHECK_S:
            checked_at = time.monotonic()
            if not await hub.in_thread(lambda: _may_watch(viewer)):
                yield _event("end", "")
                return
        yield _difference(sent, frame) or b": still here\n\n"
        sent = frame


def _difference(old: Frame, new: Frame) -> bytes:
    events = [_event("section", html) for name, html in new.sections if (name, html) not in old.sections]
    known = {request_id for request_id, _ in old.rows}
    fresh = [html for request_id, html in new.rows if request_id not in known]
    if fresh:
        events.append(_event("rows", "".join(fresh)))
    return b"".join(events)


def _event(name: str, html: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in html.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()


def _may_watch(viewer: Viewer) -> bool:
    """Tell whether the session still lives and its user still belongs to the organization."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(viewer.session_key)
    user = auth.get_user(request)
    if not user.is_authenticated:
        return False
    return Membership.objects.filter(user=user, organization=viewer.organization).exists()


def _render(organization: Organization) -> Frame:
    at = datetime.now(UTC)
    return Frame(
        sections=(
            ("balance", dashboard.render("_balance", dashboard.balance(organization=organization))),
            ("today", dashboard.render("_today", dashboard.today(organization=organization, at=at))),
        ),
        rows=tuple(
            (row.record.request_id, dashboard.render("_row", {"row": row}))
            for row in dashboard.rows(organization=organization)
        ),
    )


class Feed:
    """The newest frame of one organization, rendered at most once per ``LEAST_GAP_S`` for all its tabs."""

    def __init__(self, hub: Hub, organization: Organization) -> None:
        self.changed = asyncio.Event()
        self._hub = hub
        self._organization = organization
        self._number = 0
        self._frame = Frame((), ())
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._run(), name=f"live-feed-{organization.id}")

    async def newer_than(self, number: int) -> tuple[int, Frame]:
        """Wait for a frame after ``number``, at most ``HEARTBEAT_S``; then return the newest there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_S), self._news:
                await self._news.wait_for(lambda: self._number > number or self._task.done())
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
                await asyncio.sleep(LEAST_GAP_S)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), HEARTBEAT_S)
        finally:
            await self._tell()

    async def _renew(self) -> None:
        self.changed.clear()
        try:
            frame = await self._hub.in_thread(lambda: _render(self._organization))
        except (DatabaseError, RedisError):
            logger.warning("live.render_failed", exc_info=True)
            return
        if frame != self._frame:
            self._frame = frame
            self._number += 1
            await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


class Hub:
    """One process's subscription, its feeds, and the one thread in which they use the database."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._listener: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def watching(self, organization: Organization) -> AsyncIterator[Feed]:
        """Count one open tab of an organization and give it the shared feed."""
        feed = self._feeds.get(organization.id)
        if feed is None:
            feed = self._feeds[organization.id] = Feed(self, organization)
        self._open()
        _tabs[organization.id] += 1
        try:
            yield feed
        finally:
            _tabs[organization.id] -= 1
            if not _tabs[organization.id]:
                del _tabs[organization.id]
                self._feeds.pop(organization.id).close()

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Run a function that uses the database beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _with_fresh_connection, call)

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
                with contextlib.suppress(RedisError, OSError):
                    await self._listen()
                await asyncio.sleep(RECONNECT_S)
        finally:
            self._pool = None
            pool.submit(connections.close_all)
            pool.shutdown(wait=False)

    async def _listen(self) -> None:
        async with (
            redis.asyncio.Redis.from_url(settings.REDIS_URL) as client,
            client.pubsub(ignore_subscribe_messages=True) as pubsub,
        ):
            await pubsub.psubscribe(PATTERN)
            # It ends by itself when the last tab is gone: a subscription cancelled while it connects may hang.
            while self._feeds:
                message = await pubsub.get_message(timeout=IDLE_S)
                if message is not None:
                    self._wake(message["channel"].decode().removeprefix(PATTERN[:-1]))

    def _wake(self, organization_id: str) -> None:
        feed = self._feeds.get(organization_id)
        if feed is not None:
            feed.changed.set()


def _with_fresh_connection(call: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return call()
    finally:
        close_old_connections()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def _hub() -> Hub:
    """Return the hub of the running event loop."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
