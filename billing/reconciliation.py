"""Reconciliation of cash: Stripe's movements and our journals, held against each other in both directions.

A movement that no journal books leads to its payment being synced, as any webhook would; what is still missing then, or
differs, becomes an open item. Nothing is put right here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Sum
from django.utils import timezone

from billing import items, ledger
from billing.models import (
    AccountCode,
    ItemState,
    Journal,
    JournalKind,
    Posting,
    ReconciliationItem,
    ReconciliationKind,
    ReconciliationRun,
    Refund,
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

_PAYMENTS = frozenset({"charge", "payment"})
_REFUNDS = frozenset({"refund", "payment_refund"})
_FAILED_REFUNDS = frozenset({"refund_failure"})
_PAYOUTS = frozenset({"payout", "payout_cancel", "payout_failure"})
# What Stripe asks for its services; with the payouts these are no customer's, so booking them needs nobody's word.
_STRIPES_OWN = frozenset({"stripe_fee", "stripe_fx_fee", "tax_fee"})
_KINDS = ("cash_missing", "cash_differs", "cash_unknown", "cash_unheard", "cash_total")
_TOTAL = "stripe_clearing"


@dataclass(slots=True)
class _Cash:
    """What one run has seen."""

    since: datetime
    compared: int = 0
    # Keys of the journals that book what was seen.
    keys: set[str] = field(default_factory=set)
    movements: set[str] = field(default_factory=set)
    subjects: set[tuple[str, str]] = field(default_factory=set)

    def differ(self, kind: str, subject: str, ours: str, theirs: str) -> None:
        """Note a difference."""
        self.subjects.add((kind, subject))
        items.note(kind=kind, subject=subject, ours=ours, theirs=theirs)


def reconcile_cash(*, since: datetime | None = None, now: datetime | None = None) -> ReconciliationRun:
    """Compare Stripe's balance transactions since a moment with the ledger, and return the finished run.

    Raises the errors of ``stripe_api.client``; then the run stays unfinished.
    """
    began = now or timezone.now()
    seen = _Cash(since or began - WINDOW)
    run = ReconciliationRun.objects.create(kind=ReconciliationKind.CASH, since=seen.since, started_at=began)
    for movement in cash.movements(since=int((seen.since - _LAG).timestamp())):
        seen.compared += 1
        seen.movements.add(movement.id)
        _compare(seen, movement)
    for journal in _unheard(seen, run):
        seen.differ("cash_unheard", journal.idempotency_key, _cents(_cash_nanos(journal)), "no movement")
    _compare_total(seen)
    _close_settled(seen)
    run.compared, run.finished_at = seen.compared, timezone.now()
    run.save(update_fields=["compared", "finished_at"])
    return run


def open_items() -> Iterator[ReconciliationItem]:
    """Return what waits for a person, oldest first."""
    return (
        ReconciliationItem.objects.filter(state=ItemState.OPEN)
        .order_by("opened_at", "pk")
        .iterator(chunk_size=500)
    )


def _compare(seen: _Cash, movement: Movement) -> None:
    if movement.kind in _PAYOUTS | _STRIPES_OWN:
        _book_own(movement)
    key = _key(movement)
    if key is None:
        seen.differ("cash_unknown", movement.id, "nothing", f"{movement.kind} of {_cents_of(movement)}")
        return
    journal = _journal(key, movement)
    book_fee(movement)
    seen.keys |= {key, f"stripe_fee:{movement.id}"}
    if journal is None:
        seen.differ("cash_missing", movement.id, "no journal", f"{movement.kind} of {_cents_of(movement)}")
    elif _cash_nanos(journal) != cents_to_nanos(movement.amount_cents):
        seen.differ("cash_differs", movement.id, _cents(_cash_nanos(journal)), _cents_of(movement))


def _key(movement: Movement) -> str | None:
    """Return the key of the journal that books a movement; ``None`` for a kind of movement that we do not know."""
    if movement.kind in _PAYMENTS:
        return f"topup:{movement.intent_id}"
    if movement.kind in _REFUNDS | _FAILED_REFUNDS:
        refund = Refund.objects.filter(stripe_id=movement.source_id).first()
        name = refund.pk if refund else movement.source_id
        return f"refund:{name}" if movement.kind in _REFUNDS else f"refund_failed:{name}"
    if movement.kind in _PAYOUTS | _STRIPES_OWN:
        return f"stripe:{movement.id}"
    if movement.kind == "adjustment" and movement.intent_id:
        return f"dispute:{movement.source_id}:{movement.id}"
    return None


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
    return Journal.objects.filter(idempotency_key=_key(movement)).first()


def _book_own(movement: Movement) -> None:
    amount = cents_to_nanos(movement.amount_cents)
    other = AccountCode.BANK if movement.kind in _PAYOUTS else AccountCode.STRIPE_FEES
    ledger.post(
        key=f"stripe:{movement.id}",
        kind=JournalKind.STRIPE,
        legs={other: -amount, AccountCode.STRIPE_CLEARING: amount},
        organization=None,
        reason=movement.kind.replace("_", " ").capitalize(),
        actor="stripe",
        source=("balance_transaction", movement.id),
    )


def _unheard(seen: _Cash, run: ReconciliationRun) -> Iterator[Journal]:
    """Return the journals that moved Stripe's cash, though Stripe has told of no such movement."""
    booked = Journal.objects.filter(
        postings__account__code=AccountCode.STRIPE_CLEARING,
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
        seen.differ("cash_total", _TOTAL, _cents(ours), f"{theirs} cents")


def _close_settled(seen: _Cash) -> None:
    """Close what was open, was looked at again and no longer differs; that nobody had to act is the explanation."""
    looked_at = seen.movements | seen.keys | {_TOTAL}
    for item in ReconciliationItem.objects.filter(state=ItemState.OPEN, kind__in=_KINDS):
        if item.subject in looked_at and (item.kind, item.subject) not in seen.subjects:
            items.close(item, by="system", note="No longer differs.")


def _cash_nanos(journal: Journal) -> int:
    legs = ledger.legs_of(journal)
    return legs.get(AccountCode.STRIPE_CLEARING, 0)


def _cents(nanos: int) -> str:
    cents, rest = divmod(nanos, NANOS_PER_CENT)
    return f"{cents} cents" if not rest else f"{nanos} nano-USD"


def _cents_of(movement: Movement) -> str:
    return f"{movement.amount_cents} {'cents' if movement.currency == 'usd' else movement.currency}"
