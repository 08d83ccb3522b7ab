"""Reconciliation of cash: Stripe's movements and our journals, held against each other in both directions.

A movement that no journal books leads to its payment being synced, as any webhook would; what is still missing then, or
differs, becomes an open item. Nothing is put right here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q, Sum
from django.utils import timezone

from billing import items, ledger, movements, runs
from billing.models import (
    AccountCode,
    ItemState,
    Journal,
    Posting,
    ReconciliationItem,
    ReconciliationKind,
    ReconciliationRun,
)
from billing.stripe_api import cash
from billing.stripe_api.client import UnknownObject
from billing.stripe_api.payments import Movement
from billing.sync import NotOurs, book_fee, sync
from fastanchor.lib.money import NANOS_PER_CENT, cents_to_nanos

logger = logging.getLogger(__name__)

# How far back the nightly run looks.
WINDOW = timedelta(days=35)
# Stripe may book a movement a while after it has told of it.
_LAG = timedelta(hours=1)

_TOTAL = "stripe_clearing"


@dataclass(slots=True)
class _Cash:
    """What one run has seen."""

    since: datetime
    compared: int = 0
    begun: datetime = field(default_factory=timezone.now)
    # What staff has booked about movements, by their ids.
    fixed: dict[str, int] = field(default_factory=dict)
    # Keys of the journals that book what was seen.
    keys: set[str] = field(default_factory=set)
    movements: set[str] = field(default_factory=set)
    subjects: set[tuple[str, str]] = field(default_factory=set)

    def differ(self, kind: str, subject: str, ours: str, theirs: str, missing_nano: int | None) -> None:
        """Note a difference, and what our books lack of Stripe's cash."""
        self.subjects.add((kind, subject))
        items.note(kind=kind, subject=subject, ours=ours, theirs=theirs, missing_nano=missing_nano)


def reconcile_cash(*, since: datetime | None = None, now: datetime | None = None) -> ReconciliationRun:
    """Compare Stripe's balance transactions since a moment with the ledger, and return the finished run.

    Raises the errors of ``stripe_api.client``; then the run stays unfinished.
    """
    began = now or timezone.now()
    seen = _Cash(since or began - WINDOW, fixed=_fixed())
    run = ReconciliationRun.objects.create(kind=ReconciliationKind.CASH, since=seen.since, started_at=began)
    for movement in cash.movements(since=int((seen.since - _LAG).timestamp())):
        seen.compared += 1
        seen.movements.add(movement.id)
        _compare(seen, movement)
    for journal in _unheard(seen, run):
        booked = _cash_nanos(journal)
        seen.differ("cash_unheard", journal.idempotency_key, _cents(booked), "no movement", -booked)
    _compare_total(seen)
    _close_settled(seen)
    return runs.finish(run, compared=seen.compared, begun=seen.begun)


def open_items() -> Iterator[ReconciliationItem]:
    """Return what waits for a person, oldest first."""
    return (
        ReconciliationItem.objects.filter(state=ItemState.OPEN)
        .order_by("opened_at", "pk")
        .iterator(chunk_size=500)
    )


def _fixed() -> dict[str, int]:
    """Return what staff has booked to settle items about movements, by their ids, in nano-USD."""
    closed = ReconciliationItem.objects.filter(kind__in=runs.CASH_KINDS, journal__isnull=False)
    booked = Q(journal__postings__account__code=AccountCode.STRIPE_CLEARING)
    sums = closed.values("subject").annotate(nano=Sum("journal__postings__amount_nano", filter=booked))
    return {row["subject"]: int(row["nano"] or 0) for row in sums.order_by("subject")}


def _compare(seen: _Cash, movement: Movement) -> None:
    told = f"{movement.kind} of {_cents_of(movement)}"
    if movement.currency != movements.CURRENCY:
        seen.differ("cash_unknown", movement.id, "nothing", told, None)
        return
    movements.book_own(movement)
    key = movements.key_of(movement)
    journal = _journal(key, movement) if key else None
    book_fee(movement)
    seen.keys |= {f"stripe_fee:{movement.id}", *([key] if key else [])}
    booked = seen.fixed.get(movement.id, 0) + (_cash_nanos(journal) if journal else 0)
    missing = cents_to_nanos(movement.amount_cents) - booked
    if not missing:
        return
    if journal is not None or booked:
        seen.differ("cash_differs", movement.id, _cents(booked), _cents_of(movement), missing)
    elif key is not None:
        seen.differ("cash_missing", movement.id, "no journal", told, missing)
    else:
        seen.differ("cash_unknown", movement.id, "nothing", told, missing)


def _journal(key: str, movement: Movement) -> Journal | None:
    """Return the journal of a movement, after looking at its payment once more if it has none."""
    journal = Journal.objects.filter(idempotency_key=key).first()
    if journal is not None or not movement.intent_id:
        return journal
    try:
        sync(movement.intent_id)
    except (NotOurs, UnknownObject):
        return None
    logger.warning("reconciliation.synced", extra={"intent": movement.intent_id, "movement": movement.id})
    return Journal.objects.filter(idempotency_key=movements.key_of(movement)).first()


def _unheard(seen: _Cash, run: ReconciliationRun) -> Iterator[Journal]:
    """Return the journals that moved Stripe's cash, though Stripe has told of no such movement.

    Those by which staff has settled an item are explained by it, and compared with its movement where it has one.
    """
    booked = Journal.objects.filter(
        postings__account__code=AccountCode.STRIPE_CLEARING,
        settled_items=None,
        created_at__gte=seen.since,
        created_at__lt=run.started_at - _LAG,
    )
    for journal in booked.order_by("pk").iterator(chunk_size=1000):
        if journal.idempotency_key not in seen.keys:
            yield journal


def _compare_total(seen: _Cash) -> None:
    postings = Posting.objects.filter(account__code=AccountCode.STRIPE_CLEARING)
    ours = postings.aggregate(total=Sum("amount_nano"))["total"] or 0
    theirs = cash.balance_cents()
    if ours != cents_to_nanos(theirs):
        missing = cents_to_nanos(theirs) - ours
        seen.differ("cash_total", _TOTAL, _cents(ours), f"{theirs} cents", missing)


def _close_settled(seen: _Cash) -> None:
    """Close what was open, was looked at again and no longer differs; that nobody had to act is the explanation."""
    looked_at = seen.movements | seen.keys | {_TOTAL}
    for item in ReconciliationItem.objects.filter(state=ItemState.OPEN, kind__in=runs.CASH_KINDS):
        if item.subject in looked_at and (item.kind, item.subject) not in seen.subjects:
            items.close(item, by=items.SYSTEM, note="No longer differs.")


def _cash_nanos(journal: Journal) -> int:
    legs = ledger.legs_of(journal)
    return legs.get(AccountCode.STRIPE_CLEARING, 0)


def _cents(nanos: int) -> str:
    cents, rest = divmod(nanos, NANOS_PER_CENT)
    return f"{cents} cents" if not rest else f"{nanos} nano-USD"


def _cents_of(movement: Movement) -> str:
    return (
        f"{movement.amount_cents} {'cents' if movement.currency == movements.CURRENCY else movement.currency}"
    )
