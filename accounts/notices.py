"""Notices: what customers read above the pages of their dashboard; not to be confused with ``announcements``, of changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic

from django.db.models import Exists, OuterRef, Q

from accounts.models import User
from accounts.notice_tables import Notice, NoticeDismissal

# Readers meet no more at once, and no more are looked at.
MOST_SHOWN, _MOST_READ = 3, 20
# While there is none for anybody, nobody asks PostgreSQL again for so long.
QUIET_S = 10.0


class UnknownNotice(Exception):
    """There is no such notice."""


class _Quiet:
    """Until when there was none when this process last looked."""

    until = 0.0


def shown_to(*, user: User, plan_code: str) -> Sequence[Notice]:
    """Return what a reader on a plan has not put away, newest first; one query, or none."""
    if monotonic() < _Quiet.until:
        return []
    at = datetime.now(UTC)
    dismissed = NoticeDismissal.objects.filter(notice=OuterRef("pk"), user=user)
    current = Notice.objects.filter(Q(ends_at=None) | Q(ends_at__gt=at), starts_at__lte=at)
    found = list(current.annotate(is_dismissed=Exists(dismissed)).order_by("-starts_at", "-pk")[:_MOST_READ])
    if not found:
        _Quiet.until = monotonic() + QUIET_S
    return [each for each in found if not each.is_dismissed and each.plan_id in (None, plan_code)][
        :MOST_SHOWN
    ]


def forget() -> None:
    """Let this process look again: a notice was written. Others do so within ``QUIET_S``."""
    _Quiet.until = 0.0


def dismiss(*, user: User, notice_id: str) -> None:
    """Put a notice away for one reader, on all devices; once more changes nothing. Raises ``UnknownNotice``."""
    if not notice_id.isascii() or not notice_id.isdecimal() or len(notice_id) > 18:
        raise UnknownNotice
    notice = Notice.objects.filter(pk=notice_id).first()
    if notice is None:
        raise UnknownNotice
    NoticeDismissal.objects.get_or_create(notice=notice, user=user)
