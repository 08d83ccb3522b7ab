"""Adjustments: credit that staff gives to an organization, or takes back from it, with a reason.

One person gives an organization at most ``ALONE_NANO`` within ``ALONE_WITHIN``, in however many pieces; more needs a
second person (``credit_proposals``).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Sum
from django.utils import timezone

from accounts import audit
from accounts.models import Organization
from billing import disputes, ledger, lots, posting, wallets
from billing.drafts import Aside, Booked, Draft
from billing.models import AccountCode, Journal, JournalKind, LotKind, Wallet
from fastanchor.lib.money import NANOS_PER_USD

ALONE_NANO = 100 * NANOS_PER_USD
ALONE_WITHIN = timedelta(hours=24)
# Names the proposal as the source of a journal that two persons have booked.
PROPOSED = "credit_proposal"


class MoreThanLeft(Exception):
    """More was to be taken than the balance: ``left_nano``."""

    def __init__(self, left_nano: int) -> None:
        super().__init__(left_nano)
        self.left_nano = left_nano


class NeedsSecondPerson(Exception):
    """More than one person may give: ``left_nano`` is what this one still may."""

    def __init__(self, left_nano: int) -> None:
        super().__init__(left_nano)
        self.left_nano = left_nano


def give(
    *,
    organization: Organization,
    amount_nano: int,
    reason: str,
    key: str,
    actor: str,
    expires_at: datetime | None = None,
) -> Draft:
    """Draft credit for an organization; a debt is paid by it first. Raises ``NoReason``.

    Booking raises ``NeedsSecondPerson``, ``lots.AmountNotPositive`` and ``ledger.KeyReused``.
    """
    credit = lots.Credit(
        organization=organization,
        kind=LotKind.ADJUSTMENT,
        journal_kind=JournalKind.ADJUSTMENT,
        amount_nano=amount_nano,
        paid_by=AccountCode.PROMO_EXPENSE,
        reason=audit.reasoned(reason),
        actor=actor,
        expires_at=expires_at,
    )
    return Draft(lambda: _give(credit, key))


def _give(credit: lots.Credit, key: str) -> Booked:
    wallet = settled(credit.organization)
    if not Journal.objects.filter(idempotency_key=key).exists():
        _check_alone(credit)
    return add(wallet, credit, key=key)


def _check_alone(credit: lots.Credit) -> None:
    """Raise ``NeedsSecondPerson``; the wallet is locked, so what the same person gives at the same moment is counted."""
    own = Journal.objects.filter(
        organization=credit.organization,
        effective_at__gte=timezone.now() - ALONE_WITHIN,
        kind=JournalKind.ADJUSTMENT,
        actor=credit.actor,
    ).exclude(source_type=PROPOSED)
    given: int = own.aggregate(total=Sum("lot__granted_nano"))["total"] or 0
    if given + credit.amount_nano > ALONE_NANO:
        raise NeedsSecondPerson(max(0, ALONE_NANO - given))


def add(wallet: Wallet, credit: lots.Credit, *, key: str) -> Booked:
    """Add credit to the locked wallet, whoever has decided it; what froze the wallet may be paid by it."""
    journal = lots.add_to(wallet, credit, key=key)
    disputes.freeze_or_thaw(wallet)
    return Booked(journal, wallet)


def take(*, organization: Organization, amount_nano: int, reason: str, key: str, actor: str) -> Draft:
    """Draft taking credit back from an organization, in the order of its use. Raises ``NoReason``.

    Booking raises ``lots.AmountNotPositive``, ``MoreThanLeft``, ``aside.NotLeft`` while running requests hold the
    credit, and ``ledger.KeyReused``.
    """
    why = audit.reasoned(reason)

    def book() -> Booked:
        wallet = settled(organization)
        first = Journal.objects.filter(idempotency_key=key).first()
        return Booked(first or _take(wallet, amount_nano, why, key, actor), wallet)

    return Draft(book, aside=Aside(organization.pk, key, amount_nano))


def settled(organization: Organization) -> Wallet:
    """Return the wallet, locked, with all its usage in the lots."""
    wallet = wallets.lock(organization)
    if wallet.unposted_nano:
        posting.post_wallet(wallet)
    return wallet


def _take(wallet: Wallet, amount_nano: int, reason: str, key: str, actor: str) -> Journal:
    if amount_nano <= 0:
        raise lots.AmountNotPositive(amount_nano)
    if amount_nano > wallet.balance_nano:
        raise MoreThanLeft(max(wallet.balance_nano, 0))
    taken = lots.consume(wallet, amount_nano)
    journal = ledger.post(
        key=key,
        kind=JournalKind.ADJUSTMENT,
        legs={
            AccountCode.WALLET_PROMO: taken.promo_nano,
            AccountCode.WALLET_PAID: taken.paid_nano,
            AccountCode.PROMO_EXPENSE: -amount_nano,
        },
        organization=wallet.organization,
        reason=reason,
        actor=actor,
    )
    wallets.change(wallet, balance_by=-amount_nano)
    return journal
