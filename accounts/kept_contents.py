"""Prompts and answers in PostgreSQL, for organizations that asked for it: sealed, bound to them, gone when they expire.

``save`` is the loader of ``accounts.contents``. Nothing here logs what it handles.
"""

from __future__ import annotations

import logging
import time
import zlib
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Sum
from django.utils import timezone

from accounts import announcements, audit
from accounts.contents import Content
from accounts.expiry import delete_expired
from accounts.models import KeptContent, Organization, User
from accounts.rooms import Rooms
from fastanchor.lib.crypto import CannotUnseal, seal_bytes, unseal_bytes

logger = logging.getLogger(__name__)

# For how many days contents may be kept; 0 is not at all, and what holds until somebody chooses.
CHOICES = (0, 1, 7, 30)
_LENGTH_BYTES = 8


class TooLate(Exception):
    """Nobody waits for what was to be written; it was not."""


def save(content: Content, until: float) -> None:
    """Keep a content if its organization still wants that and has room for it; raises ``TooLate`` after ``until``."""
    now = timezone.now()
    with transaction.atomic():
        days = days_of(content.organization_id)
        if not days or not _rooms.take(content.organization_id, content.size):
            return
        KeptContent.objects.create(
            request_id=content.request_id,
            organization_id=content.organization_id,
            created_at=now,
            expires_at=now + timedelta(days=days),
            size=content.size,
            is_cut=content.is_cut,
            sealed_body=_seal(content),
        )
        if time.time() >= until:
            raise TooLate


def find(*, organization: Organization, request_id: str) -> Content | None:
    """Return what is kept of a request of this organization; ``None`` for nothing, and once it has expired."""
    row = KeptContent.objects.filter(
        pk=request_id, organization=organization, expires_at__gt=timezone.now()
    ).first()
    if row is None:
        return None
    try:
        packed = unseal_bytes(
            bytes(row.sealed_body), ring=settings.ARCHIVE_KEYS, aad=_place(organization.pk, request_id)
        )
    except CannotUnseal as exc:
        # Its key has left the ring: to its owner it is as good as expired.
        logger.warning("contents.cannot_unseal", extra={"request": request_id, "reason": str(exc)})
        return None
    body = zlib.decompress(packed)
    end = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES])
    return Content(request_id, organization.pk, body[_LENGTH_BYTES:end], body[end:], is_cut=row.is_cut)


def days_of(organization_id: str) -> int:
    """Return for how many days an organization's contents are kept; 0 for not at all."""
    days = Organization.objects.filter(pk=organization_id).values_list("contents_days", flat=True).first()
    return days or 0


def keep_for(organization: Organization, days: int, *, by: User) -> None:
    """Keep contents for so many days from now on, 0 for not at all; what is older already is gone at once."""
    before = organization.contents_days
    with transaction.atomic():
        organization.contents_days = days
        organization.save(update_fields=["contents_days"])
        audit.record_change(
            "organization.contents_kept",
            before={"days": before},
            after={"days": days},
            subject=f"organization {organization.pk}",
            organization_id=organization.pk,
            by=by,
        )
        ends_at = F("created_at") + timedelta(days=days)
        KeptContent.objects.filter(organization=organization, expires_at__gt=ends_at).update(
            expires_at=ends_at
        )
        announcements.organization_changed(organization.pk)
    logger.info(
        "accounts.contents_kept_for", extra={"organization": organization.pk, "days": days, "by": by.pk}
    )


def count_of(organization_id: str) -> tuple[int, int]:
    """Return of how many requests an organization keeps contents, and how many bytes."""
    live = KeptContent.objects.filter(organization_id=organization_id, expires_at__gt=timezone.now())
    found = live.aggregate(rows=Count("pk"), used=Sum("size"))
    return found["rows"], found["used"] or 0


def forget_all(organization_id: str) -> int:
    """Let every content of an organization expire now; returns how many. ``expire`` deletes them soon."""
    now = timezone.now()
    return KeptContent.objects.filter(organization_id=organization_id, expires_at__gt=now).update(
        expires_at=now
    )


def expire() -> int:
    """Delete what has expired; return how many."""
    return delete_expired(KeptContent)


def _used(organization_id: str) -> int:
    rows = KeptContent.objects.filter(organization_id=organization_id)
    return rows.aggregate(used=Sum("size"))["used"] or 0


_rooms = Rooms(_used, lambda: settings.CONTENTS_QUOTA_BYTES)


def _seal(content: Content) -> bytes:
    body = len(content.asked).to_bytes(_LENGTH_BYTES) + content.asked + content.answered
    place = _place(content.organization_id, content.request_id)
    return seal_bytes(zlib.compress(body, 1), ring=settings.ARCHIVE_KEYS, aad=place)


def _place(organization_id: str, request_id: str) -> str:
    return f"accounts_keptcontent:sealed_body:{organization_id}:{request_id}"
