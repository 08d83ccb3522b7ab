"""Remedies: how an open item of reconciliation is settled by a journal, as staff decides.

A payment that nobody was credited for becomes somebody's credit; cash that our books lack, or have too much of, is booked
against the account that staff names. The journal and the closing of the item are one transaction.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

from accounts import audit
from accounts.models import Organization
from billing import adjustments, disputes, items, ledger, lots, topups, wallets
from billing.drafts import Booked, Draft
from billing.models import (
    WALLET_CODES,
    AccountCode,
    ItemState,
    Journal,
    JournalKind,
    LotKind,
    ReconciliationItem,
    TopUp,
    TopUpSource,
    TopUpStatus,
    Wallet,
)
from billing.movements import CURRENCY
from billing.stripe_api import payments
from billing.stripe_api.client import StripeFault
from billing.stripe_api.payments import Payment
from billing.sync import NotOurs, sync
from fastanchor.lib.money import cents_to_nanos

logger = logging.getLogger(__name__)

# Against what staff may book cash at Stripe.
ACCOUNTS = (
    AccountCode.BANK,
    AccountCode.STRIPE_FEES,
    AccountCode.STRIPE_RESERVE,
    AccountCode.DISPUTE_LOSS,
    AccountCode.ROUNDING,
    AccountCode.MANUAL_CLEARING,
    AccountCode.WALLET_PAID,
)
_UNCREDITED = ("orphan_payment", "payment_mismatch")


class Remedy(StrEnum):
    """What can settle an item."""

    CREDIT = "credit"
    """Credit the payment to an organization."""
    BOOK = "book"
    """Book the cash against an account."""


class NoRemedy(Exception):
    """The item, or what Stripe says of it now, does not allow it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What staff has decided about an item, why, and who (``user:<id>``)."""

    item: ReconciliationItem
    reason: str
    actor: str


def remedy_of(item: ReconciliationItem) -> Remedy | None:
    """Return how an open item can be settled by a journal; ``None`` where no journal can."""
    if item.state != ItemState.OPEN:
        return None
    if item.kind in _UNCREDITED:
        return Remedy.CREDIT
    return Remedy.BOOK if item.missing_nano else None


def owner_of(item: ReconciliationItem) -> Organization | None:
    """Return whose payment an item is about, where we know: nobody else can be credited for it."""
    top_up = TopUp.objects.select_related("organization").filter(stripe_intent=item.subject).first()
    return top_up.organization if top_up else None


def credit_payment(decision: Decision, *, organization: Organization) -> Draft:
    """Draft crediting the payment that an item is about to an organization, to the cent that Stripe has received.

    Raises ``NoRemedy``, ``NoReason`` and the errors of ``stripe_api.client``; booking, ``NoRemedy`` and
    ``items.AlreadyClosed``.
    """
    item, _ = decision.item, audit.reasoned(decision.reason)
    if item.kind not in _UNCREDITED:
        raise NoRemedy(item.kind)
    seen = payments.find_payment(item.subject)
    if seen.status != "succeeded" or seen.currency != CURRENCY:
        raise NoRemedy(f"{seen.status}, {seen.received_cents} {seen.currency}")
    return Draft(lambda: _credit(decision, seen, organization), after=lambda: _follow(seen.id, organization))


def _credit(decision: Decision, seen: Payment, organization: Organization) -> Booked:
    wallet = wallets.lock(organization)
    item = items.lock_open(decision.item)
    top_up = _top_up(seen, organization, decision.actor)
    if top_up.organization_id != organization.pk or top_up.journal_id is not None:
        raise NoRemedy(top_up.pk)
    top_up.journal = lots.add_to(
        wallet,
        lots.Credit(
            organization=organization,
            kind=LotKind.PAID,
            journal_kind=JournalKind.TOP_UP,
            amount_nano=cents_to_nanos(seen.received_cents),
            paid_by=AccountCode.STRIPE_CLEARING,
            reason=audit.reasoned(decision.reason),
            actor=decision.actor,
            source=("top_up", top_up.pk),
        ),
        key=f"topup:{seen.id}",
    )
    top_up.amount_cents, top_up.receipt_url = seen.received_cents, seen.receipt_url
    top_up.status, top_up.failure, top_up.failure_code = TopUpStatus.SUCCEEDED, "", ""
    top_up.save()
    disputes.freeze_or_thaw(wallet)
    items.close(item, by=decision.actor, note=decision.reason, journal=top_up.journal)
    return Booked(top_up.journal, wallet)


def _top_up(seen: Payment, organization: Organization, actor: str) -> TopUp:
    top_up, _ = TopUp.objects.select_for_update(of=("self",)).get_or_create(
        stripe_intent=seen.id,
        defaults={
            "organization": organization,
            "amount_cents": seen.received_cents,
            "source": TopUpSource.CHECKOUT,
            "actor": actor,
        },
    )
    return top_up


def _follow(intent_id: str, organization: Organization) -> None:
    """Book what has become of the payment since; the poll and the nightly comparison do it as well."""
    topups.leave_free_plan(organization)
    try:
        sync(intent_id)
    except (StripeFault, NotOurs):
        logger.warning("remedies.not_followed", extra={"intent": intent_id}, exc_info=True)


def book_cash(decision: Decision, *, account: AccountCode, organization: Organization | None = None) -> Draft:
    """Draft booking what our books lack of Stripe's cash against an account; a wallet's, with its ``organization``.

    Raises ``NoRemedy`` and ``NoReason``; booking, ``items.AlreadyClosed``.
    """
    audit.reasoned(decision.reason)
    is_wallets = account in WALLET_CODES
    if account not in ACCOUNTS or is_wallets != (organization is not None) or not decision.item.missing_nano:
        raise NoRemedy(account)
    return Draft(lambda: _book(decision, account, organization))


def _book(decision: Decision, account: AccountCode, organization: Organization | None) -> Booked:
    wallet = adjustments.settled(organization) if organization else None
    item = items.lock_open(decision.item)
    missing_nano = item.missing_nano or 0
    if wallet is None:
        journal = _post(decision, {account: -missing_nano, AccountCode.STRIPE_CLEARING: missing_nano})
    elif missing_nano > 0:
        journal = _add(wallet, decision, missing_nano)
    else:
        journal = _take(wallet, decision, -missing_nano)
    items.close(item, by=decision.actor, note=decision.reason, journal=journal)
    if wallet is not None:
        disputes.freeze_or_thaw(wallet)
    return Booked(journal, wallet)


def _post(
    decision: Decision, legs: dict[AccountCode, int], organization: Organization | None = None
) -> Journal:
    return ledger.post(
        key=_key(decision),
        kind=JournalKind.CORRECTION,
        legs=legs,
        organization=organization,
        reason=audit.reasoned(decision.reason),
        actor=decision.actor,
        source=_source(decision),
    )


def _add(wallet: Wallet, decision: Decision, amount_nano: int) -> Journal:
    credit = lots.Credit(
        organization=wallet.organization,
        kind=LotKind.PAID,
        journal_kind=JournalKind.CORRECTION,
        amount_nano=amount_nano,
        paid_by=AccountCode.STRIPE_CLEARING,
        reason=audit.reasoned(decision.reason),
        actor=decision.actor,
        source=_source(decision),
    )
    return lots.add_to(wallet, credit, key=_key(decision))


def _take(wallet: Wallet, decision: Decision, amount_nano: int) -> Journal:
    taken = lots.consume(wallet, amount_nano)
    legs = {
        AccountCode.WALLET_PROMO: taken.promo_nano,
        AccountCode.WALLET_PAID: taken.paid_nano,
        AccountCode.STRIPE_CLEARING: -amount_nano,
    }
    journal = _post(decision, legs, wallet.organization)
    wallets.change(wallet, balance_by=-amount_nano)
    return journal


def _key(decision: Decision) -> str:
    return f"item:{decision.item.pk}"


def _source(decision: Decision) -> tuple[str, str]:
    return ("reconciliation_item", str(decision.item.pk))
