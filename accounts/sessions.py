"""Where a user is logged in: the list of sessions, and how they end.

allauth keeps from where each session was used; when it was used last is noted every few minutes. A session that has
ended is gone at once: the next request with it is a stranger's, and its live streams end at their next check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.usersessions.models import UserSession
from django.contrib import auth
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts import stamps
from accounts.models import User

EXPIRY_BATCH = 1000
EXPIRY_BATCHES = 100
# A login writes the session first and from where it came a moment later.
_MARGIN = timedelta(hours=1)
# Names in the order in which they are looked for: most browsers name the others, too.
_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"), ("Windows", "Windows"),
    ("Macintosh", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


class UnknownSession(Exception):
    """The user has no such session, or no longer."""


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """A session as its owner sees it."""

    id: int
    device: str
    address: str
    begun_at: datetime
    seen_at: datetime
    is_current: bool


def keep_track(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: note now and then that a session is in use, end one that is too old, and clear up behind it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not _is_inside(request):
            return get_response(request)
        _keep_track(request)
        response = get_response(request)
        if not _is_inside(request):
            # What the playground keeps in a tab for its reader is not for who logs in there next.
            response.headers["Clear-Site-Data"] = '"storage"'
        return response

    return middleware


def _is_inside(request: HttpRequest) -> bool:
    return bool(request.session.session_key) and request.user.is_authenticated


def _keep_track(request: HttpRequest) -> None:
    if stamps.is_too_old(request) or (request.user.is_staff and stamps.is_idle(request)):
        UserSession.objects.filter(session_key=request.session.session_key).delete()
        auth.logout(request)
    elif stamps.is_due(request):
        stamps.renew(request)
        UserSession.objects.create_from_request(request)


def of(user: User) -> QuerySet[UserSession]:
    """Return the sessions of a user that have not ended, the one used last first."""
    rows: QuerySet[UserSession] = UserSession.objects.filter(Exists(_live()), user=user)
    return rows.order_by("-last_seen_at", "-pk")


def seen(session: UserSession, *, current_key: str | None) -> SessionSeen:
    """Return a session as its owner sees it."""
    return SessionSeen(
        id=session.pk,
        device=device_of(session.user_agent),
        address=session.ip,
        begun_at=session.created_at,
        seen_at=session.last_seen_at,
        is_current=session.session_key == current_key,
    )


def device_of(user_agent: str) -> str:
    """Return browser and system in words; the first word of what is unknown."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    known = " on ".join(filter(None, [browser, system]))
    return known or user_agent.split(" ", 1)[0][:40] or "Unknown device"


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for mark, name in names if mark in user_agent), "")


def end(*, user: User, session_id: int) -> None:
    """End one session of a user; raises ``UnknownSession``."""
    if not _end(UserSession.objects.filter(user=user, pk=session_id)):
        raise UnknownSession(session_id)


def end_all(*, user: User, but: str | None = None) -> int:
    """End the sessions of a user, except the one of a key; returns how many."""
    rows = UserSession.objects.filter(user=user)
    return _end(rows.exclude(session_key=but) if but else rows)


def _end(rows: QuerySet[UserSession]) -> int:
    keys = list(rows.values_list("session_key", flat=True))
    Session.objects.filter(pk__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    return len(keys)


def expire() -> int:
    """Delete the sessions that are over, in batches; returns how many."""
    now, deleted = timezone.now(), 0
    for _ in range(EXPIRY_BATCHES):
        keys = list(Session.objects.filter(expire_date__lt=now).values_list("pk", flat=True)[:EXPIRY_BATCH])
        Session.objects.filter(pk__in=keys).delete()
        deleted += len(keys)
        if len(keys) < EXPIRY_BATCH:
            break
    gone = UserSession.objects.filter(~Exists(_live()), last_seen_at__lt=now - _MARGIN)
    UserSession.objects.filter(pk__in=list(gone.values_list("pk", flat=True)[: EXPIRY_BATCH * 10])).delete()
    return deleted


def _live() -> QuerySet[Session]:
    return Session.objects.filter(pk=OuterRef("session_key"), expire_date__gt=timezone.now())
