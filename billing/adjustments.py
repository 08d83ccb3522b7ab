"""Adjustments: credit that staff gives to an organization, or takes back from it, with a reason."""

from __future__ import annotations

from datetime import datetime

from accounts.models import Organization
from billing import disputes, ledger, lots, posting, wallets
from billing.drafts import Aside, Booked, Draft, reasoned
from billing.models import AccountCode, Journal, JournalKind, LotKind, Wallet


class MoreThanLeft(Exception):
    """More was to be taken than the balance: ``left_nano``."""

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

    Booking raises ``lots.AmountNotPositive`` and ``ledger.KeyReused``.
    """
    credit = lots.Credit(
        organization=organization,
        kind=LotKind.ADJUSTMENT,
        journal_kind=JournalKind.ADJUSTMENT,
        amount_nano=amount_nano,
        paid_by=AccountCode.PROMO_EXPENSE,
        reason=reasoned(reason),
        actor=actor,
        expires_at=expires_at,
    )
    return Draft(lambda: _give(credit, key))


def _give(credit: lots.Credit, key: str) -> Booked:
    wallet = settled(credit.organization)
    journal = lots.add_to(wallet, credit, key=key)
    disputes.freeze_or_thaw(wallet)
    return Booked(journal, wallet)


def take(*, organization: Organization, amount_nano: int, reason: str, key: str, actor: str) -> Draft:
    """Draft taking credit back from an organization, in the order of its use. Raises ``NoReason``.

    Booking raises ``lots.AmountNotPositive``, ``MoreThanLeft``, ``aside.NotLeft`` while running requests hold the
    credit, and ``ledger.KeyReused``.
    """
    why = reasoned(reason)

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
