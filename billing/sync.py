"""The one way by which Stripe moves money here: a payment is read anew, and everything is brought to what it says.

Webhooks, the page after a payment, the poll of events and the commands all call ``sync``. It may be called by any of
them in any order, twice, and in parallel: each posting is made once, by the id of the Stripe object it stands for.
"""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone

from billing import (
    backoff,
    details,
    disputes,
    invoices,
    items,
    ledger,
    lots,
    movements,
    posting,
    refunds,
    topups,
    wallets,
)
from billing.models import (
    PENDING,
    AccountCode,
    JournalKind,
    LotKind,
    Refund,
    RefundStatus,
    StripeCustomer,
    TopUp,
    TopUpSource,
    TopUpStatus,
    Wallet,
)
from billing.stripe_api import payments
from billing.stripe_api.client import StripeRefused
from billing.stripe_api.customers import Entered, entered_with
from billing.stripe_api.payments import Movement, Payment
from fastanchor.lib.money import cents_to_nanos

logger = logging.getLogger(__name__)

_SYNCED = (
    "stripe_intent", "status", "failure", "failure_code", "receipt_url", "journal", "updated_at",
)  # fmt: skip


class NotOurs(Exception):
    """No top-up belongs to the payment."""


def sync(intent_id: str) -> TopUp:
    """Bring a top-up with its refunds and disputes to what Stripe says now, and return it.

    Raises ``NotOurs`` and the errors of ``stripe_api.client``.
    """
    seen = payments.find_payment(intent_id)
    found = _top_up_of(seen)
    entered = _entered(found, seen)
    with transaction.atomic(durable=True):
        wallet = wallets.lock(found.organization)
        top_up = TopUp.objects.select_for_update(of=("self",)).select_related("journal").get(pk=found.pk)
        top_up.organization = found.organization
        if top_up.journal is None and _came_by_page(top_up, seen):
            details.take_over(found.organization, entered)
        _apply(wallet, top_up, seen)
        # Last, for all payments wait for the lock on their numbers.
        invoices.write_missing(found.organization)
    wallets.publish([wallet])
    # Also when it was credited long ago: that call may have died between the payment and this.
    if top_up.status == TopUpStatus.SUCCEEDED:
        topups.leave_free_plan(top_up.organization)
    return top_up


def send_refund(refund: Refund) -> TopUp:
    """Ask Stripe to pay back what was taken out of the wallet for it; a refund that Stripe refuses comes back.

    Raises the errors of ``stripe_api.client``; after ``StripeUnavailable`` it is sent again later.
    """
    intent_id = refund.top_up.stripe_intent or ""
    try:
        payments.refund(intent_id=intent_id, cents=refund.amount_cents, refund_id=refund.pk)
    except StripeRefused:
        _refund_refused(refund)
        raise
    return sync(intent_id)


def resend_refunds() -> int:
    """Ask Stripe again for refunds that it has not confirmed; returns how many there were.

    Each payment is looked at first: Stripe forgets idempotency keys after a day, but not its refunds.
    """
    asked = Refund.objects.filter(status=RefundStatus.REQUESTED, stripe_id=None)
    waiting = list(asked.select_related("top_up__organization").order_by("created_at", "pk")[:500])
    for refund in waiting:
        try:
            _resend(refund)
        except (StripeRefused, NotOurs):
            # One that cannot be sent must not hold up the others.
            logger.exception("sync.refund_not_resent", extra={"refund": refund.pk})
    return len(waiting)


def _resend(refund: Refund) -> None:
    sync(refund.top_up.stripe_intent or "")
    refund.refresh_from_db(fields=["status", "stripe_id"])
    if refund.stripe_id is None and refund.status == RefundStatus.REQUESTED:
        send_refund(refund)


def _refund_refused(refund: Refund) -> None:
    with transaction.atomic(durable=True):
        wallet = wallets.lock(refund.top_up.organization)
        refunds.give_back(wallet, refund)
        Refund.objects.filter(pk=refund.pk, status=RefundStatus.REQUESTED).update(
            status=RefundStatus.FAILED, updated_at=timezone.now()
        )
        invoices.write_missing(refund.top_up.organization)
    wallets.publish([wallet])


def _top_up_of(seen: Payment) -> TopUp:
    rows = TopUp.objects.select_related("organization")
    known = rows.filter(stripe_intent=seen.id).first() or rows.filter(pk=seen.top_up_id).first()
    if known is None or not (_is_credited(known, seen) or _is_customer_of(known, seen)):
        if seen.status == "succeeded":
            items.note(kind="orphan_payment", subject=seen.id, ours="no top-up", theirs=_amount(seen))
        raise NotOurs(seen.id)
    return known if known.stripe_intent in {None, seen.id} else _surplus(known, seen)


def _is_credited(top_up: TopUp, seen: Payment) -> bool:
    """Tell whether a payment was credited before, be it that staff has said for whom it was."""
    return top_up.stripe_intent == seen.id and top_up.journal_id is not None


def _is_customer_of(top_up: TopUp, seen: Payment) -> bool:
    return StripeCustomer.objects.filter(
        stripe_id=seen.customer_id, organization_id=top_up.organization_id
    ).exists()


def _entered(top_up: TopUp, seen: Payment) -> Entered | None:
    """Return what whoever paid has entered on Stripe's page, as long as nobody has typed it here."""
    is_asked = top_up.journal_id is None and _came_by_page(top_up, seen)
    return entered_with(seen.id) if is_asked and not details.is_ours(top_up.organization) else None


def _came_by_page(top_up: TopUp, seen: Payment) -> bool:
    return seen.status == "succeeded" and top_up.source == TopUpSource.CHECKOUT


def _surplus(first: TopUp, seen: Payment) -> TopUp:
    """Return a top-up of its own for a second payment of the same one: whoever paid twice gets twice the credit."""
    if seen.status != "succeeded":
        raise NotOurs(seen.id)
    items.note(kind="second_payment", subject=seen.id, ours=first.pk, theirs=_amount(seen))
    second, _ = TopUp.objects.get_or_create(
        stripe_intent=seen.id,
        defaults={
            "organization": first.organization,
            "amount_cents": first.amount_cents,
            "source": TopUpSource.CHECKOUT,
            "actor": "stripe",
        },
    )
    return second


def _apply(wallet: Wallet, top_up: TopUp, seen: Payment) -> None:
    before, top_up.stripe_intent = top_up.status, seen.id
    if seen.status == "succeeded":
        _credit(wallet, top_up, seen)
    elif top_up.status in PENDING:
        top_up.status = _status(top_up, seen)
        top_up.failure, top_up.failure_code = seen.failure[:300], seen.failure_code[:80]
    if top_up.journal is not None:
        _follow(wallet, top_up, seen)
    if top_up.status != before:
        backoff.learn(top_up)
    top_up.updated_at = timezone.now()
    top_up.save(update_fields=_SYNCED)


def _status(top_up: TopUp, seen: Payment) -> TopUpStatus:
    if seen.status == "processing":
        return TopUpStatus.PROCESSING
    if seen.status == "canceled":
        return TopUpStatus.EXPIRED
    # On Stripe's page another card may be tried; what was processed, or nobody looks at, has failed.
    is_over = top_up.status == TopUpStatus.PROCESSING or top_up.source == TopUpSource.AUTO
    return TopUpStatus.FAILED if is_over and seen.status == "requires_payment_method" else TopUpStatus.OPEN


def _credit(wallet: Wallet, top_up: TopUp, seen: Payment) -> None:
    # By its id: a journal that somebody has removed is not written anew in silence, the reconciliation names it.
    if top_up.journal_id is not None:
        return
    if (seen.currency, seen.received_cents) != (top_up.currency, top_up.amount_cents):
        top_up.status = TopUpStatus.MISMATCHED
        ours = f"{top_up.amount_cents} {top_up.currency}"
        items.note(kind="payment_mismatch", subject=seen.id, ours=ours, theirs=_amount(seen))
        return
    top_up.journal = lots.add_to(
        wallet,
        lots.Credit(
            organization=top_up.organization,
            kind=LotKind.PAID,
            journal_kind=JournalKind.TOP_UP,
            amount_nano=cents_to_nanos(top_up.amount_cents),
            paid_by=AccountCode.STRIPE_CLEARING,
            reason="Top-up",
            actor=top_up.actor,
            source=("top_up", top_up.pk),
        ),
        key=f"topup:{seen.id}",
    )
    top_up.status, top_up.failure, top_up.failure_code = TopUpStatus.SUCCEEDED, "", ""
    top_up.receipt_url = seen.receipt_url


def _follow(wallet: Wallet, top_up: TopUp, seen: Payment) -> None:
    """Book what came after the payment: Stripe's fee, refunds, disputes."""
    if seen.charged is not None:
        book_fee(seen.charged)
    if (seen.refunds or seen.disputes) and wallet.unposted_nano:
        posting.post_wallet(wallet)
    for refund in seen.refunds:
        refunds.apply(wallet, top_up, refund)
    for dispute in seen.disputes:
        disputes.apply(wallet, top_up, dispute)
        for movement in dispute.movements:
            book_fee(movement)
    disputes.freeze_or_thaw(wallet)


def book_fee(movement: Movement) -> None:
    """Book what Stripe kept of a movement in USD, or gave back of it; safe twice."""
    if not movement.fee_cents or movement.currency != movements.CURRENCY:
        return
    fee_nano = cents_to_nanos(movement.fee_cents)
    ledger.post(
        key=f"stripe_fee:{movement.id}",
        kind=JournalKind.STRIPE,
        legs={AccountCode.STRIPE_FEES: fee_nano, AccountCode.STRIPE_CLEARING: -fee_nano},
        organization=None,
        reason="Stripe's fee",
        actor="stripe",
        source=("balance_transaction", movement.id),
    )


def _amount(seen: Payment) -> str:
    return f"{seen.received_cents} {seen.currency}"
