"""The first page of the administration and its live stream."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_safe

from fastanchor import live
from fastanchor.feeds import Frame, Hub, Pace
from fastanchor.staff import operations

_PACE = Pace(least_gap_s=1.0, heartbeat_s=2.0, recheck_s=30.0)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show the present moment, as far as the reader's role goes."""
    allowed = operations.allowed_to(request.user)
    context = {
        **admin.site.each_context(request),
        "title": "Now",
        # Our own templates have made it.
        "sections": [SafeString(html) for _, html in operations.sections(allowed)],
    }
    return TemplateResponse(request, "admin/index.html", context)


@dataclass(frozen=True, slots=True)
class Board:
    """The page of all who have the same permissions."""

    allowed: frozenset[str]

    @property
    def id(self) -> str:
        """Tell it from the pages of other roles, and from organizations."""
        return "staff " + "".join(str(int(each in self.allowed)) for each in operations.PERMISSIONS)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of staff who watches: checked again while the stream is open."""

    session_key: str
    watched: Board

    def may_watch(self) -> bool:
        """Tell whether the session lives and its user may still see what this page shows."""
        user = live.user_of(self.session_key)
        if user is None or not user.is_staff or not user.is_active:
            return False
        return operations.allowed_to(user) == self.watched.allowed


class Boards(Hub):
    """The pages of all roles that are open."""

    def __init__(self, pace: Pace = _PACE) -> None:
        super().__init__(_frame, pace)


def _frame(board: Board) -> Frame:
    return Frame(tuple(operations.sections(board.allowed)), ())


@require_GET
def stream(request: HttpRequest) -> HttpResponseBase:
    """Send the panels that change, until the reader leaves or may no longer see them."""
    member = Member(str(request.session.session_key), Board(operations.allowed_to(request.user)))
    return live.send(member, live.events(member, kind=Boards))
