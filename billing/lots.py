"""Lots: batches of credit. Adding one credits the wallet; usage consumes them, promotional first, then in order of age.

What is left in an organization's lots always equals what the ledger owes it, or zero while it owes us: new credit
pays such a debt first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.models import Organization
from billing import ledger, wallets
from billing.models import AccountCode, CreditLot, Journal, JournalKind, LotKind, Wallet

PRIORITIES = {LotKind.PROMO: 0, LotKind.ADJUSTMENT: 1, LotKind.PAID: 2}


class AmountNotPositive(ValueError):
    """Credit must be more than nothing."""


@dataclass(frozen=True, slots=True)
class Credit:
    """A batch of credit to add: how much (nano-USD), what for, and the account that pays for it."""

    organization: Organization
    kind: LotKind
    journal_kind: JournalKind
    amount_nano: int
    paid_by: AccountCode
    reason: str
    actor: str
    expires_at: datetime | None = None
    source: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Consumed:
    """How much of some usage the lots of each side bore, in nano-USD; ``paid_nano`` includes what no lot covered."""

    promo_nano: int
    paid_nano: int


def add(credit: Credit, *, key: str) -> Journal:
    """Add a lot and credit the wallet; a ``key`` seen before changes nothing and returns the first journal.

    Raises ``AmountNotPositive``, and ``ledger.KeyReused`` when the key belongs to another credit.
    """
    with transaction.atomic(durable=True):
        wallet = wallets.lock(credit.organization)
        journal = add_to(wallet, credit, key=key)
    wallets.publish([wallet])
    return journal


def add_to(wallet: Wallet, credit: Credit, *, key: str) -> Journal:
    """Do as ``add`` does to a wallet that is locked; the caller brings its new balance to Valkey after the commit."""
    if credit.amount_nano <= 0:
        raise AmountNotPositive(credit.amount_nano)
    journal = _find(credit, key)
    if journal is None:
        journal = _add(credit, key)
        wallets.change(wallet, balance_by=credit.amount_nano)
    return journal


def _find(credit: Credit, key: str) -> Journal | None:
    """Return the journal that ``key`` wrote; its legs may differ from today's, for a debt was paid then."""
    first = Journal.objects.select_related("lot").filter(idempotency_key=key).first()
    if first is None:
        return None
    wrote = (first.organization_id, first.kind, first.lot.granted_nano if hasattr(first, "lot") else 0)
    if wrote != (credit.organization.id, credit.journal_kind, credit.amount_nano):
        raise ledger.KeyReused(first)
    return first


def _add(credit: Credit, key: str) -> Journal:
    debt = min(max(-ledger.credit_of(credit.organization), 0), credit.amount_nano)
    rest = credit.amount_nano - debt
    # A debt stands in the paid account, whatever kind of credit pays it.
    in_paid = credit.amount_nano if credit.kind == LotKind.PAID else debt
    journal = ledger.post(
        key=key,
        kind=credit.journal_kind,
        legs={
            credit.paid_by: credit.amount_nano,
            AccountCode.WALLET_PAID: -in_paid,
            AccountCode.WALLET_PROMO: in_paid - credit.amount_nano,
        },
        organization=credit.organization,
        reason=credit.reason,
        actor=credit.actor,
        source=credit.source,
    )
    CreditLot.objects.create(
        organization=credit.organization,
        kind=credit.kind,
        granted_nano=credit.amount_nano,
        remaining_nano=rest,
        expires_at=credit.expires_at,
        priority=PRIORITIES[credit.kind],
        journal=journal,
    )
    return journal


def consume(wallet: Wallet, amount_nano: int) -> Consumed:
    """Take usage out of the lots of a locked wallet, in their order; what no lot covers becomes debt."""
    return _take(CreditLot.objects.consumable(wallet.organization_id), amount_nano)


def take_back(wallet: Wallet, lot: CreditLot, amount_nano: int) -> Consumed:
    """Take a payment back out of a locked wallet: out of its own lot, then other bought ones, then all others.

    What no lot covers becomes debt. Usage must have been posted before.
    """
    others = CreditLot.objects.consumable(wallet.organization_id).exclude(pk=lot.pk)
    lot.refresh_from_db(fields=["remaining_nano"])
    return _take([lot, *sorted(others, key=lambda other: -other.priority)], amount_nano)


def restore(wallet: Wallet, lot: CreditLot, amount_nano: int) -> None:
    """Put into a lot again what was taken back, but for the part that pays the debt of its locked wallet."""
    debt = min(max(-ledger.credit_of(wallet.organization), 0), amount_nano)
    lot.refresh_from_db(fields=["remaining_nano"])
    lot.remaining_nano += amount_nano - debt
    lot.save(update_fields=["remaining_nano"])


def _take(lots: Iterable[CreditLot], amount_nano: int) -> Consumed:
    rest, promo_nano, touched = amount_nano, 0, []
    for lot in lots:
        if not rest:
            break
        taken = min(rest, lot.remaining_nano)
        lot.remaining_nano -= taken
        rest -= taken
        if lot.kind != LotKind.PAID:
            promo_nano += taken
        touched.append(lot)
    CreditLot.objects.bulk_update(touched, ["remaining_nano"])
    return Consumed(promo_nano=promo_nano, paid_nano=amount_nano - promo_nano)
