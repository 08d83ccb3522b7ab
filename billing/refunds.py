"""Refunds: unused bought credit goes back to the card that paid for it."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Organization
from billing import aside, invoices, ledger, lots, posting, wallets
from billing.models import (
    AccountCode,
    CreditLot,
    Journal,
    JournalKind,
    Refund,
    RefundStatus,
    TopUp,
    TopUpStatus,
    Wallet,
)
from billing.stripe_api.payments import RefundSeen
from fastanchor.lib.money import NANOS_PER_CENT, cents_to_nanos

_STATUSES = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
# A refund that is behind another's status was read before it.
_ORDER = (RefundStatus.REQUESTED, RefundStatus.PENDING, RefundStatus.SUCCEEDED, RefundStatus.FAILED)


class NotRefundable(Exception):
    """Less can be paid back than was asked for: ``left_cents`` at most."""

    def __init__(self, left_cents: int) -> None:
        super().__init__(left_cents)
        self.left_cents = left_cents


class InUse(Exception):
    """Running requests hold the credit that was to be paid back."""


def refundable_cents(top_up: TopUp) -> int:
    """Return what of a top-up is unused and not yet paid back, in whole cents, cut."""
    if top_up.status != TopUpStatus.SUCCEEDED or top_up.disputes.filter(withdrawn_cents__gt=0).exists():
        return 0
    assert top_up.journal is not None
    wallet = wallets.of(top_up.organization)
    unused = min(top_up.journal.lot.remaining_nano, wallet.balance_nano)
    return max(0, unused // NANOS_PER_CENT)


def request(*, top_up: TopUp, cents: int, actor: str, reason: str = "") -> Refund:
    """Take unused credit out of the wallet and note that Stripe has to pay it back; raises ``NotRefundable`` or ``InUse``.

    ``sync.send_refund`` then asks Stripe.
    """
    with transaction.atomic(durable=True):
        wallet = _settled(top_up.organization)
        top_up = (
            TopUp.objects.select_for_update(of=("self",)).select_related("journal__lot").get(pk=top_up.pk)
        )
        left_cents = refundable_cents(top_up)
        if not 0 < cents <= left_cents:
            raise NotRefundable(left_cents)
        refund = Refund.objects.create(top_up=top_up, amount_cents=cents, actor=actor)
        audit.record(
            "refund.requested",
            subject=f"refund {refund.pk}",
            organization_id=top_up.organization_id,
            before={"refundable_cents": left_cents},
            after={"cents": cents, "top_up": top_up.pk},
            reason=reason,
        )
        _set_aside(refund)
        _take(wallet, refund)
        invoices.write_missing(top_up.organization)
    wallets.publish([wallet], settled=[refund.pk])
    return refund


def _set_aside(refund: Refund) -> None:
    try:
        aside.set_aside(
            organization_id=refund.top_up.organization_id,
            name=refund.pk,
            amount_nano=cents_to_nanos(refund.amount_cents),
        )
    except aside.NotLeft as exc:
        raise InUse from exc


def _settled(organization: Organization) -> Wallet:
    """Return the wallet, locked, with all its usage in the lots."""
    wallet = wallets.lock(organization)
    if wallet.unposted_nano:
        posting.post_wallet(wallet)
    return wallet


def apply(wallet: Wallet, top_up: TopUp, seen: RefundSeen) -> None:
    """Bring one refund, and the locked wallet, to what Stripe says; usage must have been posted."""
    refund = _row(top_up, seen)
    status = _STATUSES.get(seen.status, RefundStatus.PENDING)
    is_failed = status == RefundStatus.FAILED
    # One that is first heard of when it has failed went out and came back: both are in Stripe's books.
    if seen.has_moved if is_failed else refund.status != RefundStatus.FAILED:
        _take(wallet, refund)
    if is_failed:
        give_back(wallet, refund)
    if _ORDER.index(status) > _ORDER.index(RefundStatus(refund.status)):
        refund.status = status
    refund.stripe_id = seen.id
    refund.updated_at = timezone.now()
    refund.save(update_fields=["status", "stripe_id", "updated_at"])


def _row(top_up: TopUp, seen: RefundSeen) -> Refund:
    """Return our row of a refund; one made at Stripe's own pages gets one now."""
    asked = Refund.objects.filter(top_up=top_up, stripe_id=seen.id).first()
    if asked is None and seen.refund_id:
        asked = Refund.objects.filter(top_up=top_up, pk=seen.refund_id, stripe_id=None).first()
    if asked is not None:
        return asked
    return Refund.objects.create(
        top_up=top_up, amount_cents=seen.amount_cents, stripe_id=seen.id, actor="stripe"
    )


def _take(wallet: Wallet, refund: Refund) -> None:
    if _is_posted(_key(refund)):
        return
    amount = cents_to_nanos(refund.amount_cents)
    taken = lots.take_back(wallet, _lot(refund), amount)
    ledger.post(
        key=_key(refund),
        kind=JournalKind.REFUND,
        legs={
            AccountCode.WALLET_PROMO: taken.promo_nano,
            AccountCode.WALLET_PAID: taken.paid_nano,
            AccountCode.STRIPE_CLEARING: -amount,
        },
        organization=refund.top_up.organization,
        reason="Refund",
        actor=refund.actor,
        source=("refund", refund.pk),
    )
    wallets.change(wallet, balance_by=-amount)


def give_back(wallet: Wallet, refund: Refund) -> None:
    """Put the credit of a refund that did not reach its card into the locked wallet again; safe twice."""
    key = f"refund_failed:{refund.pk}"
    if not _is_posted(_key(refund)) or _is_posted(key):
        return
    amount = cents_to_nanos(refund.amount_cents)
    lots.restore(wallet, _lot(refund), amount)
    ledger.post(
        key=key,
        kind=JournalKind.REFUND_FAILED,
        legs={AccountCode.STRIPE_CLEARING: amount, AccountCode.WALLET_PAID: -amount},
        organization=refund.top_up.organization,
        reason="Refund failed",
        actor="stripe",
        source=("refund", refund.pk),
    )
    wallets.change(wallet, balance_by=amount)


def _key(refund: Refund) -> str:
    return f"refund:{refund.pk}"


def _is_posted(key: str) -> bool:
    return Journal.objects.filter(idempotency_key=key).exists()


def _lot(refund: Refund) -> CreditLot:
    journal = refund.top_up.journal
    assert journal is not None
    return journal.lot
