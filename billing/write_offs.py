"""Write-offs: what a lost dispute has left an organization owing, and we give up.

Its credit was used and the bank took the payment back, so the wallet is below zero. A write-off is our loss
(``dispute_loss``); the wallet comes up to zero at most, and the dispute freezes it no longer. Should the bank give the
payment back after all, that makes good our loss first (``disputes.py``).
"""

from __future__ import annotations

from accounts import audit
from accounts.models import Organization
from billing import adjustments, disputes, ledger, wallets
from billing.drafts import Booked, Draft
from billing.models import AccountCode, Dispute, Journal, JournalKind, Wallet
from fastanchor.lib.money import cents_to_nanos


class NotLost(Exception):
    """The dispute may still be won, or has taken nothing."""


class NothingOwed(Exception):
    """The organization owes nothing: there is nothing to give up."""


def draft(*, dispute: Dispute, reason: str, actor: str) -> Draft:
    """Draft giving up what is owed for a dispute; once. Raises ``NoReason``; booking, ``NotLost`` or ``NothingOwed``."""
    why, organization = audit.reasoned(reason), dispute.top_up.organization
    return Draft(lambda: _book(dispute.pk, organization, why, actor))


def _book(dispute_id: str, organization: Organization, reason: str, actor: str) -> Booked:
    wallet = adjustments.settled(organization)
    dispute = Dispute.objects.select_for_update(of=("self",)).select_related("write_off").get(pk=dispute_id)
    if dispute.write_off is not None:
        return Booked(dispute.write_off, wallet)
    if dispute.status != disputes.LOST or not dispute.withdrawn_cents:
        raise NotLost
    owed_nano = min(-wallet.balance_nano, cents_to_nanos(dispute.withdrawn_cents))
    if owed_nano <= 0:
        raise NothingOwed
    dispute.write_off = _post(wallet, dispute, owed_nano, reason, actor)
    dispute.save(update_fields=["write_off"])
    wallets.change(wallet, balance_by=owed_nano)
    disputes.freeze_or_thaw(wallet)
    return Booked(dispute.write_off, wallet)


def _post(wallet: Wallet, dispute: Dispute, owed_nano: int, reason: str, actor: str) -> Journal:
    return ledger.post(
        key=f"write_off:{dispute.pk}",
        kind=JournalKind.WRITE_OFF,
        legs={AccountCode.DISPUTE_LOSS: owed_nano, AccountCode.WALLET_PAID: -owed_nano},
        organization=wallet.organization,
        reason=reason,
        actor=actor,
        source=("dispute", dispute.pk),
    )
