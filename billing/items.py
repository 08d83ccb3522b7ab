"""Open items: what does not add up with Stripe and waits for a person; nothing here moves money."""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import audit
from billing.models import ItemState, Journal, ReconciliationItem

logger = logging.getLogger(__name__)

# Closes what has gone away by itself.
SYSTEM = "system"


class AlreadyClosed(Exception):
    """Somebody has closed the ``item`` before."""

    def __init__(self, item: ReconciliationItem) -> None:
        super().__init__(item.pk)
        self.item = item


def note(
    *, kind: str, subject: str, ours: str, theirs: str, missing_nano: int | None = None
) -> ReconciliationItem:
    """Note a difference, and what our books lack of Stripe's cash; one that was noted before is only seen again."""
    known = ReconciliationItem.objects.filter(kind=kind, subject=subject, ours=ours, theirs=theirs)
    # What once went away by itself and is here again has been explained by nobody.
    item = known.filter(~Q(closed_by=SYSTEM)).order_by("-pk").first()
    if item is not None:
        item.seen_at = timezone.now()
        item.save(update_fields=["seen_at"])
        return item
    item, is_new = ReconciliationItem.objects.update_or_create(
        kind=kind,
        subject=subject,
        state=ItemState.OPEN,
        defaults={
            "ours": ours,
            "theirs": theirs,
            "missing_nano": missing_nano,
            "seen_at": timezone.now(),
        },
    )
    if is_new:
        logger.error("billing.item_opened", extra={"kind": kind, "subject": subject})
    return item


def close(item: ReconciliationItem, *, by: str, note: str, journal: Journal | None = None) -> bool:
    """Close an open item with the reason, and the journal that put it right if one had to; returns whether it was open."""
    is_closed = ReconciliationItem.objects.filter(pk=item.pk, state=ItemState.OPEN).update(
        state=ItemState.FIXED if journal else ItemState.EXPLAINED,
        closed_at=timezone.now(),
        closed_by=by,
        note=note[:500],
        journal=journal,
    )
    return bool(is_closed)


def lock_open(item: ReconciliationItem) -> ReconciliationItem:
    """Return an item as it is now, locked; raises ``AlreadyClosed``. Who needs a wallet's lock takes that first."""
    locked = ReconciliationItem.objects.select_for_update(of=("self",)).get(pk=item.pk)
    if locked.state != ItemState.OPEN:
        raise AlreadyClosed(locked)
    return locked


def explain(item: ReconciliationItem, *, by: str, reason: str) -> None:
    """Close an item for which nothing has to move; raises ``AlreadyClosed`` and ``NoReason``."""
    with transaction.atomic():
        if not close(item, by=by, note=audit.reasoned(reason)):
            item.refresh_from_db()
            raise AlreadyClosed(item)
        audit.record(
            "reconciliationitem.explained",
            subject=f"reconciliationitem {item.pk}",
            before={"state": ItemState.OPEN},
            after={"state": ItemState.EXPLAINED},
            reason=reason,
        )


def settle(*, kind: str, subject: str) -> None:
    """Close what was open about a subject that no longer differs; that nobody had to act is the explanation."""
    for item in ReconciliationItem.objects.filter(kind=kind, subject=subject, state=ItemState.OPEN):
        close(item, by=SYSTEM, note="No longer differs.")
