"""Invoices and credit notes: one numbered document about each journal of bought credit that came, went back, or returned.

Numbers have no gap: a document takes the next one of its year in the transaction that writes it, under the lock of the
year's row, so a number that was taken is a document, or was never taken. Whoever calls holds the wallet's lock, and calls
last: the lock on the year is then held for a moment only.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import UTC

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import Organization
from billing import wallets
from billing.details import Buyer
from billing.models import (
    INVOICED,
    AccountCode,
    Invoice,
    InvoiceCounter,
    InvoiceKind,
    Journal,
    JournalKind,
    Posting,
    Refund,
    TopUp,
)
from fastanchor.lib.money import NANOS_PER_CENT

logger = logging.getLogger(__name__)

PREFIX = "FA"
_KINDS = {
    JournalKind.TOP_UP: InvoiceKind.INVOICE,
    JournalKind.REFUND: InvoiceKind.CREDIT_NOTE,
    JournalKind.REFUND_FAILED: InvoiceKind.CANCELLATION,
}


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sells, as it is written on paper and kept with it."""

    name: str
    address: list[str]
    tax_id: str

    @classmethod
    def now(cls) -> Seller:
        """Return who sells by the settings."""
        return cls(settings.SELLER_NAME, settings.SELLER_ADDRESS, settings.SELLER_TAX_ID)


def of(organization: Organization) -> QuerySet[Invoice]:
    """Return the documents of an organization, newest first."""
    own = Invoice.objects.filter(organization=organization).select_related("journal__stripe_top_up")
    return own.order_by("-issued_at", "-position")


def about(top_up: TopUp) -> QuerySet[Invoice]:
    """Return a top-up's invoice and what corrects it, in the order of their numbers."""
    paid = top_up.journal_id
    if paid is None:
        return Invoice.objects.none()
    is_about = Q(journal=paid) | Q(corrects__journal=paid) | Q(corrects__corrects__journal=paid)
    own = Invoice.objects.filter(is_about, organization=top_up.organization_id)
    return own.select_related("journal__stripe_top_up").order_by("year", "position")


def write_missing(organization: Organization) -> int:
    """Write a document about each journal that needs one and has none; returns how many. The wallet is locked."""
    journals = _without(Journal.objects.filter(organization=organization)).order_by("effective_at", "pk")
    return sum(_write(organization, journal) for journal in list(journals))


def write_all() -> int:
    """Do as ``write_missing`` does for everybody; returns for how many organizations there was something to write."""
    waiting = _without(Journal.objects.all()).order_by("organization").distinct("organization")
    found = Organization.objects.filter(pk__in=waiting.values("organization")).order_by("pk")
    for organization in list(found):
        write_for(organization)
    return len(found)


def write_for(organization: Organization) -> None:
    """Do as ``write_missing`` does, in a transaction of its own."""
    with transaction.atomic(durable=True):
        wallets.lock(organization)
        write_missing(organization)


def _without(journals: QuerySet[Journal]) -> QuerySet[Journal]:
    return journals.filter(kind__in=sorted(INVOICED), invoice=None)


def _write(organization: Organization, journal: Journal) -> bool:
    try:
        corrects = _corrected(journal)
    except (Invoice.DoesNotExist, Refund.DoesNotExist):
        # Money never waits for paper; the audit names the journal.
        logger.exception("billing.invoice_not_written", extra={"journal": journal.pk})
        return False
    invoice = Invoice(
        kind=_KINDS[JournalKind(journal.kind)],
        organization=organization,
        journal=journal,
        corrects=corrects,
        amount_cents=_cents(journal),
        # Another buyer's name on a correction would make it a correction of nothing.
        seller=corrects.seller if corrects else asdict(Seller.now()),
        buyer=corrects.buyer if corrects else asdict(Buyer.of(organization)),
        payment=_payment(journal),
        note=settings.INVOICE_NOTE[:500],
    )
    counter = _next()
    invoice.number = f"{PREFIX}-{counter.year}-{counter.last:06d}"
    invoice.year, invoice.position, invoice.issued_at = counter.year, counter.last, counter.issued_at
    invoice.save(force_insert=True)
    logger.info("billing.invoice_written", extra={"number": invoice.pk, "journal": journal.pk})
    return True


def _next() -> InvoiceCounter:
    """Return the counter of this year with the number that is now taken; locked until the transaction ends."""
    now = timezone.now()
    year = now.astimezone(UTC).year
    InvoiceCounter.objects.bulk_create([InvoiceCounter(year=year, issued_at=now)], ignore_conflicts=True)
    counter = InvoiceCounter.objects.select_for_update().get(year=year)
    # Clocks of two hosts differ: dates follow the numbers.
    counter.last, counter.issued_at = counter.last + 1, max(now, counter.issued_at)
    counter.save(update_fields=["last", "issued_at"])
    return counter


def _corrected(journal: Journal) -> Invoice | None:
    if journal.kind == JournalKind.TOP_UP:
        return None
    refund = Refund.objects.select_related("top_up").get(pk=journal.source_id)
    paid = refund.top_up.journal_id
    if journal.kind == JournalKind.REFUND:
        return Invoice.objects.get(journal=paid)
    return Invoice.objects.get(corrects__journal=paid, journal__source_id=refund.pk)


def _cents(journal: Journal) -> int:
    """Return what was paid or paid back, in cents: cash is always whole ones."""
    cash = Posting.objects.filter(
        journal=journal, account__code__in=[AccountCode.STRIPE_CLEARING, AccountCode.MANUAL_CLEARING]
    )
    cents, rest = divmod(abs(int(cash.aggregate(sum=Sum("amount_nano"))["sum"])), NANOS_PER_CENT)
    assert not rest, journal.pk
    return cents


def _payment(journal: Journal) -> str:
    if journal.source_type == "top_up":
        top_up = TopUp.objects.get(pk=journal.source_id)
        return f"Paid at Stripe, {top_up.stripe_intent or journal.idempotency_key.removeprefix('topup:')}"
    if journal.source_type == "refund":
        return f"Refund {journal.source_id}"
    return "Paid outside Stripe"
