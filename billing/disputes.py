"""Disputes: what a payer's bank takes back of a payment, and gives back when the dispute is won.

Money moves by the balance transactions that Stripe shows with a dispute: an inquiry has none.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db.models import OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from billing import backoff, ledger, lots, wallets
from billing.models import AccountCode, Dispute, Journal, JournalKind, Posting, TopUp, Wallet, WalletState
from billing.stripe_api.payments import DisputeSeen, Movement
from fastanchor.lib.money import cents_to_nanos

LOST = "lost"
_ENDED = frozenset({"won", LOST, "warning_closed", "prevented"})
_WHY_OFF = "A bank has taken back a payment of yours for good."


def undecided(organization_id: str | OuterRef) -> QuerySet[Dispute]:
    """Return the disputes by which a bank holds a payment back from us and which nobody has decided yet."""
    taken = Dispute.objects.filter(top_up__organization_id=organization_id, withdrawn_cents__gt=0)
    return taken.exclude(status=LOST)


def apply(wallet: Wallet, top_up: TopUp, seen: DisputeSeen) -> None:
    """Bring one dispute, and the locked wallet, to what Stripe says; usage must have been posted."""
    for movement in seen.movements:
        _move(wallet, top_up, seen, movement)
    withdrawn = -sum(movement.amount_cents for movement in seen.movements)
    dispute, is_new = Dispute.objects.get_or_create(
        pk=seen.id,
        defaults={
            "top_up": top_up,
            "amount_cents": seen.amount_cents,
            "status": seen.status,
            "reason": seen.reason[:80],
            "withdrawn_cents": max(0, withdrawn),
            "opened_at": datetime.fromtimestamp(seen.opened_at, UTC),
        },
    )
    if seen.status == LOST and (is_new or dispute.status != LOST):
        # Its owner may switch it on again, and so consents anew to being charged.
        backoff.switch_off(top_up.organization, why=_WHY_OFF)
    # What was read before the end must not undo it.
    if not is_new and (dispute.status not in _ENDED or seen.status in _ENDED):
        dispute.status, dispute.withdrawn_cents = seen.status, max(0, withdrawn)
        dispute.updated_at = timezone.now()
        dispute.save(update_fields=["status", "withdrawn_cents", "updated_at"])


def freeze_or_thaw(wallet: Wallet) -> None:
    """Freeze a locked wallet that is below zero while a payment is held back from us; thaw it when it no longer is.

    What was written off is held back no longer.
    """
    if wallet.state not in {WalletState.ACTIVE, WalletState.FROZEN_DISPUTE}:
        return
    held_back = Dispute.objects.filter(
        top_up__organization_id=wallet.organization_id, withdrawn_cents__gt=0, write_off=None
    ).exists()
    is_frozen = held_back and wallet.balance_nano < 0
    wallets.turn(wallet, WalletState.FROZEN_DISPUTE if is_frozen else WalletState.ACTIVE)


def _move(wallet: Wallet, top_up: TopUp, seen: DisputeSeen, movement: Movement) -> None:
    key = f"dispute:{seen.id}:{movement.id}"
    amount = cents_to_nanos(movement.amount_cents)
    if not amount or Journal.objects.filter(idempotency_key=key).exists():
        return
    # What we gave up for this dispute is made good first: its credit was used, and need not come back to anybody.
    recovered = min(max(amount, 0), _written_off(seen.id))
    ledger.post(
        key=key,
        kind=JournalKind.DISPUTE,
        legs={
            **_wallet_legs(wallet, top_up, amount - recovered),
            AccountCode.DISPUTE_LOSS: -recovered,
            AccountCode.STRIPE_CLEARING: amount,
        },
        organization=top_up.organization,
        reason="Payment disputed" if amount < 0 else "Dispute won",
        actor="stripe",
        source=("dispute", seen.id),
    )
    wallets.change(wallet, balance_by=amount - recovered)


def _written_off(dispute_id: str) -> int:
    """Return what was given up for a dispute and not made good yet, in nano-USD."""
    journals = Q(journal__idempotency_key=f"write_off:{dispute_id}") | Q(
        journal__idempotency_key__startswith=f"dispute:{dispute_id}:"
    )
    losses = Posting.objects.filter(journals, account__code=AccountCode.DISPUTE_LOSS)
    total: int | None = losses.aggregate(total=Sum("amount_nano"))["total"]
    return total or 0


def _wallet_legs(wallet: Wallet, top_up: TopUp, amount_nano: int) -> dict[AccountCode, int]:
    assert top_up.journal is not None
    if amount_nano >= 0:
        lots.restore(wallet, top_up.journal.lot, amount_nano)
        return {AccountCode.WALLET_PAID: -amount_nano}
    taken = lots.take_back(wallet, top_up.journal.lot, -amount_nano)
    return {AccountCode.WALLET_PROMO: taken.promo_nano, AccountCode.WALLET_PAID: taken.paid_nano}
