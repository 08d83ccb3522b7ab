"""Freezing a customer: no key is let in, no credit is spent, nothing is charged; and letting it go on."""

from __future__ import annotations

from django.db import transaction

from accounts import organizations
from accounts.models import Organization, User
from billing import disputes, wallets
from billing.models import Wallet, WalletState


def is_frozen(organization: Organization) -> bool:
    """Tell whether staff has frozen a customer."""
    wallet = getattr(organization, "wallet", None)
    return organization.frozen_at is not None or (
        wallet is not None and wallet.state == WalletState.FROZEN_FRAUD
    )


def freeze(*, organization: Organization, by: User, reason: str) -> Wallet:
    """Freeze keys and wallet together; every process knows within a second. Twice changes nothing more."""
    with transaction.atomic(durable=True):
        wallet = wallets.lock(organization)
        organizations.freeze(organization=organization, is_frozen=True, by=by, reason=reason)
        if wallet.state != WalletState.CLOSED:
            wallets.turn(wallet, WalletState.FROZEN_FRAUD)
    wallets.publish([wallet])
    return wallet


def unfreeze(*, organization: Organization, by: User, reason: str) -> Wallet:
    """Let a customer go on; what a dispute has frozen beside it stays so."""
    with transaction.atomic(durable=True):
        wallet = wallets.lock(organization)
        organizations.freeze(organization=organization, is_frozen=False, by=by, reason=reason)
        if wallet.state == WalletState.FROZEN_FRAUD:
            wallets.turn(wallet, WalletState.ACTIVE)
            disputes.freeze_or_thaw(wallet)
    wallets.publish([wallet])
    return wallet
