"""How each movement of the cash at Stripe is booked: by the journal of a payment, refund or dispute, or by one of its own.

What is named nowhere here is for staff to judge: it becomes an open item (``reconciliation.py``).
"""

from __future__ import annotations

from billing import ledger
from billing.models import AccountCode, JournalKind, Refund
from billing.stripe_api.payments import Movement
from fastanchor.lib.money import cents_to_nanos

# The ledger's; what moves in another is for staff to judge.
CURRENCY = "usd"
_PAYMENTS = frozenset({"charge", "payment"})
_REFUNDS = frozenset({"refund", "payment_refund"})
_FAILED_REFUNDS = frozenset({"refund_failure"})
# Between Stripe and our bank, and what Stripe asks for its services: no customer's, so booking them needs nobody's word.
_OWN = {
    **dict.fromkeys(
        ("payout", "payout_cancel", "payout_failure", "topup", "topup_reversal"), AccountCode.BANK
    ),
    **dict.fromkeys(("stripe_fee", "stripe_fx_fee", "tax_fee"), AccountCode.STRIPE_FEES),
}


def key_of(movement: Movement) -> str | None:
    """Return the key of the journal that books a movement; ``None`` for a kind of movement that we do not know."""
    if movement.kind in _PAYMENTS:
        return f"topup:{movement.intent_id}"
    if movement.kind in _REFUNDS | _FAILED_REFUNDS:
        refund = Refund.objects.filter(stripe_id=movement.source_id).first()
        name = refund.pk if refund else movement.source_id
        return f"refund:{name}" if movement.kind in _REFUNDS else f"refund_failed:{name}"
    if movement.kind in _OWN:
        return f"stripe:{movement.id}"
    if movement.kind == "adjustment" and movement.intent_id:
        return f"dispute:{movement.source_id}:{movement.id}"
    return None


def book_own(movement: Movement) -> None:
    """Book a payout or one of Stripe's own prices, in USD; every other kind is passed over. Safe twice."""
    other = _OWN.get(movement.kind)
    if other is None or movement.currency != CURRENCY or not movement.amount_cents:
        return
    amount = cents_to_nanos(movement.amount_cents)
    ledger.post(
        key=f"stripe:{movement.id}",
        kind=JournalKind.STRIPE,
        legs={other: -amount, AccountCode.STRIPE_CLEARING: amount},
        organization=None,
        reason=movement.kind.replace("_", " ").capitalize(),
        actor="stripe",
        source=("balance_transaction", movement.id),
    )
