"""The dashboard's live stream: server-sent events that carry ready HTML, made of the feeds of ``fastanchor.feeds``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from django.conf import settings
from django.contrib import auth
from django.db import connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from accounts.access import SignedInRequest, signed_in
from accounts.models import Membership, Organization, User
from fastanchor import dashboard
from fastanchor.feeds import Frame, Hub, Watched, tabs

STILL_HERE = b": still here\n\n"
MOST_TABS = 500
MOST_TABS_OF_ONE = 25


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who watches: checked again while the stream is open."""

    session_key: str
    organization: Organization

    @property
    def watched(self) -> Organization:
        """Whose page it is."""
        return self.organization

    def may_watch(self) -> bool:
        """Tell whether the session still lives and its user still belongs to the organization."""
        user = user_of(self.session_key)
        return (
            user is not None and Membership.objects.filter(user=user, organization=self.organization).exists()
        )


class Watcher(Protocol):
    """Whoever may watch something for as long as ``may_watch`` says so; that uses the database."""

    @property
    def watched(self) -> Watched:
        """What is watched."""

    def may_watch(self) -> bool:
        """Tell whether it still may."""


@signed_in
@require_GET
def stream(request: SignedInRequest) -> HttpResponseBase:
    """Send what changes on the dashboard until the reader leaves or may no longer see it."""
    viewer = Viewer(str(request.session.session_key), request.organization)
    return send(viewer, events(viewer))


def send(viewer: Watcher, stream: AsyncIterator[bytes]) -> HttpResponseBase:
    """Answer with a stream of events, unless too many are open."""
    if tabs[viewer.watched.id] >= MOST_TABS_OF_ONE or tabs.total() >= MOST_TABS:
        return HttpResponse("Too many open dashboards.", status=503, headers={"Retry-After": "10"})
    # This thread sleeps for as long as the stream is open: it must not keep a connection to PostgreSQL.
    connections.close_all()
    unbuffered = {"X-Accel-Buffering": "no"}
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=unbuffered)


async def end_all() -> None:
    """End every open stream of this event loop; a server that stops calls it, for streams never end by themselves."""
    for hub in _hubs.get(asyncio.get_running_loop(), {}).values():
        await hub.end()


async def events(
    viewer: Watcher, hub: Hub | None = None, *, kind: type[Hub] | None = None
) -> AsyncIterator[bytes]:
    """Yield server-sent events for one tab, of a ``kind`` of hub: first all there is, then what changes."""
    sent = Frame((), ())
    async with aclosing(frames(viewer, hub or hub_of(kind or _Overviews))) as shown:
        async for frame in shown:
            if isinstance(frame, bytes):
                yield frame
            else:
                yield _difference(sent, frame) or STILL_HERE
                sent = frame


async def frames(viewer: Watcher, hub: Hub) -> AsyncGenerator[Frame | bytes]:
    """Yield what a tab is shown, frame by frame, for as long as its viewer may see it; bytes are sent as they are."""
    number, checked_at = 0, time.monotonic()
    yield b"retry: 2000\n\n"
    async with hub.watching(viewer.watched) as feed:
        while not hub.is_ending:
            number, frame = await feed.newer_than(number)
            if time.monotonic() - checked_at >= hub.pace.recheck_s:
                checked_at = time.monotonic()
                if not await hub.in_thread(viewer.may_watch):
                    yield event("end", "")
                    return
            yield frame


def _difference(old: Frame, new: Frame) -> bytes:
    events = [event("section", html) for name, html in new.sections if (name, html) not in old.sections]
    known = {request_id for request_id, _ in old.rows}
    fresh = [html for request_id, html in new.rows if request_id not in known]
    if fresh:
        events.append(event("rows", "".join(fresh)))
    return b"".join(events)


def event(name: str, html: str) -> bytes:
    """Write a server-sent event."""
    lines = "".join(f"data: {line}\n" for line in html.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()


def user_of(session_key: str) -> User | None:
    """Return who holds a session that still lives."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = auth.get_user(request)
    return user if isinstance(user, User) else None


def render(organization: Organization) -> Frame:
    """Render everything that a tab may need; uses the database."""
    numbers = dashboard.numbers(organization=organization, at=datetime.now(UTC))
    return Frame(
        sections=(
            ("balance", dashboard.render("_balance", dashboard.balance(organization=organization))),
            ("numbers", dashboard.render("_numbers", numbers)),
            ("today", dashboard.render("_today", numbers)),
            ("models", dashboard.render("_models", numbers)),
        ),
        rows=tuple(
            (row.record.request_id, dashboard.row_html(row))
            for row in dashboard.rows(organization=organization)
        ),
    )


class _Overviews(Hub):
    """The feeds of the overview."""

    def __init__(self) -> None:
        super().__init__(render)


H = TypeVar("H", bound=Hub)
_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[type[Hub], Hub]] = WeakKeyDictionary()


def hub_of(kind: type[H]) -> H:
    """Return the hub of a kind that the running event loop has."""
    hubs = _hubs.setdefault(asyncio.get_running_loop(), {})
    if kind not in hubs:
        hubs[kind] = cast("Callable[[], H]", kind)()
    return cast("H", hubs[kind])
