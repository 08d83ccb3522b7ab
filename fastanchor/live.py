"""The dashboard's live stream: server-sent events that carry ready HTML, made of the feeds of ``fastanchor.feeds``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from weakref import WeakKeyDictionary

from django.conf import settings
from django.contrib import auth
from django.db import connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from accounts.access import SignedInRequest, signed_in
from accounts.models import Membership, Organization
from fastanchor import dashboard
from fastanchor.feeds import Frame, Hub, tabs

MOST_TABS = 500
MOST_TABS_OF_ONE = 25


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who watches: checked again while the stream is open."""

    session_key: str
    organization: Organization


@signed_in
@require_GET
def stream(request: SignedInRequest) -> HttpResponseBase:
    """Send what changes on the dashboard until the reader leaves or may no longer see it."""
    organization = request.organization
    if tabs[organization.id] >= MOST_TABS_OF_ONE or tabs.total() >= MOST_TABS:
        return HttpResponse("Too many open dashboards.", status=503, headers={"Retry-After": "10"})
    viewer = Viewer(str(request.session.session_key), organization)
    # This thread sleeps for as long as the stream is open: it must not keep a connection to PostgreSQL.
    connections.close_all()
    unbuffered = {"X-Accel-Buffering": "no"}
    return StreamingHttpResponse(events(viewer), content_type="text/event-stream", headers=unbuffered)


async def end_all() -> None:
    """End every open stream of this event loop; a server that stops calls it, for streams never end by themselves."""
    await _hub().end()


async def events(viewer: Viewer, hub: Hub | None = None) -> AsyncIterator[bytes]:
    """Yield server-sent events for one tab: first all there is, then what changes."""
    hub = hub or _hub()
    sent, number, checked_at = Frame((), ()), 0, time.monotonic()
    yield b"retry: 2000\n\n"
    async with hub.watching(viewer.organization) as feed:
        while not hub.is_ending:
            number, frame = await feed.newer_than(number)
            if time.monotonic() - checked_at >= hub.pace.recheck_s:
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
            (row.record.request_id, dashboard.render("_row", {"row": row}))
            for row in dashboard.rows(organization=organization)
        ),
    )


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def _hub() -> Hub:
    """Return the hub of the running event loop."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub(render))
