"""Logging in as a customer, to look: what a member of staff sees of the customer's pages, for half an hour, and changes nothing.

The session stays the one of the member of staff, with its second factor; only a note lies in it, and each request to a page
of customers is answered as that of the customer. So no login happens: nothing of the customer's sessions is touched, and
whatever is recorded meanwhile names the member of staff. (django-hijack logs in for real: it would throw away the
session that has proven a second factor, and count as a login of the customer.)

What may be seen is a list of addresses; what is not in it, and every method that could change something, is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypedDict, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse

from accounts import audit
from accounts.models import User

PERMISSION = "accounts.hijack_user"
LASTS_S = 30 * 60
_NOTE = "log_in_as"
_END = "end-log-in-as"
# Neither logins, passwords, factors and sessions, nor what makes or shows a secret, nor words of prompts and answers, nor
# what writes or asks Stripe when it is only looked at, nor streams, which would outlast the half hour.
_SHOWN = frozenset(
    {
        "home", "models", "model", "palette", "pricing", "legal", "status", "status-feed", "status-json", "docs",
        "docs-search", "docs-reference", "quickstart", "manual", "favicon",
        "dashboard", "usage", "request", "activity", "exports", "export", "accounts:keys", "accounts:key",
        "billing:overview", "billing:transactions", "billing:export", "billing:invoices", "billing:invoice",
        "billing:statements", "billing:statement", "billing:automatic", "billing:budgets", "billing:key-budgets",
        "settings:profile", "settings:organization", "settings:notifications", "settings:privacy",
    }
)  # fmt: skip


class NotAllowed(Exception):
    """Nobody logs in as this person; carries the words that say why."""


class _Note(TypedDict):
    """What lies in the session of a member of staff."""

    user_id: int
    organization_id: str
    until: int


class Visited(HttpRequest):
    """A request of a member of staff, ``hijacker``, that is answered as that of a customer, ``user``."""

    hijacker: User
    hijacked_until: int


def begin(*, request: HttpRequest, user: User, organization_id: str, reason: str) -> None:
    """Let the member of staff look at the pages of a customer; raises ``NotAllowed``."""
    if _NOTE in request.session:
        raise NotAllowed("You are logged in as a customer already. End that first.")
    if not _may_be_visited(user):
        raise NotAllowed("Nobody logs in as a member of staff, or as somebody who cannot log in.")
    until = int(time.time()) + LASTS_S
    request.session[_NOTE] = _Note(user_id=user.pk, organization_id=organization_id, until=until)
    audit.record(
        "login_as.begun",
        subject=f"user {user.pk}",
        organization_id=organization_id,
        after={"minutes": LASTS_S // 60},
        reason=reason,
    )


def end(*, request: HttpRequest, how: str) -> str:
    """End it, if there is anything to end, and return whose organization was looked at, or nothing."""
    note: _Note | None = request.session.pop(_NOTE, None)
    if note is None:
        return ""
    audit.record(
        "login_as.ended",
        subject=f"user {note['user_id']}",
        organization_id=note["organization_id"],
        after={"how": how},
    )
    return note["organization_id"]


def logged_out(*, request: HttpRequest | None, **_: Any) -> None:
    """Note that it ends with the session."""
    if request is not None and request.session.session_key:
        end(request=request, how="logged out")


def as_customer(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: answer a member of staff who is logged in as a customer as that customer, outside of the admin."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        note: _Note | None = request.session.get(_NOTE) if request.session.session_key else None
        if note is None or request.path.startswith((reverse(_END), reverse("admin:index"))):
            return get_response(request)
        customer = _customer(request, note)
        if customer is None:
            return _over(request)
        visited = cast("Visited", request)
        visited.hijacker, visited.hijacked_until = cast("User", request.user), note["until"]
        visited.user = customer
        return get_response(request) if _is_shown(request) else _refused(request)

    return middleware


def _customer(request: HttpRequest, note: _Note) -> User | None:
    """Return as whom a request is answered; nobody once the time is over, or either person is no longer what they were."""
    is_permitted = (
        request.user.is_authenticated and request.user.is_staff and request.user.has_perm(PERMISSION)
    )
    if time.time() >= note["until"] or not is_permitted:
        return None
    customer = User.objects.filter(pk=note["user_id"]).first()
    return customer if customer is not None and _may_be_visited(customer) else None


def _may_be_visited(user: User) -> bool:
    return user.is_active and not user.is_staff and not user.is_superuser


def _is_shown(request: HttpRequest) -> bool:
    if request.method not in {"GET", "HEAD"}:
        return False
    try:
        return resolve(request.path_info).view_name in _SHOWN
    except Resolver404:
        # There is nothing to show.
        return True


def _refused(request: HttpRequest) -> HttpResponse:
    answer = render(request, "admin/customers/refused.html", status=403)
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def _over(request: HttpRequest) -> HttpResponseBase:
    end(request=request, how="time over")
    messages.warning(request, "The half hour is over, or you may no longer: you are yourself again.")
    return HttpResponseRedirect(reverse("admin:index"))
