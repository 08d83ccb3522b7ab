"""Wallets: the cached balance of each organization, how it is locked, changed, shown and brought to Valkey."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from redis.exceptions import RedisError

from accounts import audit
from accounts.models import Organization
from billing import holds
from billing.models import CreditLot, LotKind, Wallet, WalletState
from fastanchor.lib.valkey import sync_client

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WalletView:
    """A wallet as its owner sees it, in nano-USD; ``held_nano`` is ``None`` while Valkey is away."""

    balance_nano: int
    held_nano: int | None
    available_nano: int
    promo_nano: int
    promo_expires_at: datetime | None
    state: str


def of(organization: Organization) -> Wallet:
    """Return the wallet of an organization, made at its first use."""
    wallet, _ = Wallet.objects.get_or_create(organization=organization)
    return wallet


def lock(organization: Organization) -> Wallet:
    """Return the wallet, locked until the transaction ends; whoever changes money holds this lock."""
    Wallet.objects.bulk_create([Wallet(organization=organization)], ignore_conflicts=True)
    return Wallet.objects.select_for_update().get(organization=organization)


def change(wallet: Wallet, *, balance_by: int) -> None:
    """Change the balance of a locked wallet by nano-USD and give it the next version.

    What a dispute has frozen is thawed by whatever covers the debt, be it paid at Stripe, by transfer, or given up by us.
    """
    wallet.balance_nano += balance_by
    if wallet.state == WalletState.FROZEN_DISPUTE and wallet.balance_nano >= 0:
        _record_state(wallet, WalletState.ACTIVE)
        wallet.state = WalletState.ACTIVE
    wallet.version += 1
    wallet.updated_at = timezone.now()
    wallet.save(update_fields=["balance_nano", "state", "version", "updated_at"])


def turn(wallet: Wallet, state: WalletState) -> None:
    """Put a locked wallet into a state, with the next version if that is another one."""
    if wallet.state == state:
        return
    _record_state(wallet, state)
    wallet.state = state
    wallet.version += 1
    wallet.updated_at = timezone.now()
    wallet.save(update_fields=["state", "version", "updated_at"])


def _record_state(wallet: Wallet, state: WalletState) -> None:
    audit.record(
        "wallet.turned",
        subject=f"wallet {wallet.organization_id}",
        organization_id=wallet.organization_id,
        before={"state": str(wallet.state)},
        after={"state": str(state)},
    )


def published(wallet: Wallet) -> holds.PublishedWallet:
    """Return what Valkey has to know of a wallet: what may be spent or held in all."""
    return holds.PublishedWallet(wallet.organization_id, wallet.version, wallet.spendable_nano)


def publish(wallets: Iterable[Wallet], *, settled: Sequence[str] = ()) -> None:
    """Bring committed balances to Valkey, and end the holds that are ``settled`` in them.

    When Valkey is away that is only logged, for balances are sent again soon, and holds end with their lease.
    """
    try:
        client = sync_client()
        epoch = holds.ensure_epoch(client)
        for wallet in wallets:
            holds.publish(client, epoch=epoch, wallet=published(wallet), settled=settled)
    except RedisError as exc:
        logger.warning("wallets.publish_failed", extra={"error": type(exc).__name__})


def balance_of(organization: Organization) -> WalletView:
    """Return what an organization has, holds and may still spend."""
    # Holds first: money that settles in between is then counted twice for a moment, never left out.
    held = _held(organization.id)
    wallet = of(organization)
    promo_nano, promo_expires_at = _promo(wallet)
    return WalletView(
        balance_nano=wallet.balance_nano,
        held_nano=held,
        available_nano=wallet.spendable_nano - (held or 0),
        promo_nano=promo_nano,
        promo_expires_at=promo_expires_at,
        state=wallet.state,
    )


def held_in(wallet: Wallet) -> int | None:
    """Return what running requests hold of a wallet, in nano-USD; ``None`` while Valkey is away."""
    return _held(wallet.organization_id)


def _held(organization_id: str) -> int | None:
    try:
        known = holds.known_wallet(sync_client(), organization_id)
    except RedisError as exc:
        logger.warning("wallets.holds_unknown", extra={"error": type(exc).__name__})
        return None
    return known.held_nano if known else 0


def _promo(wallet: Wallet) -> tuple[int, datetime | None]:
    """Return the promotional credit left and its soonest expiry, as if all usage were posted already."""
    unposted, total, expires_at = wallet.unposted_nano, 0, None
    for lot in CreditLot.objects.consumable(wallet.organization_id).filter(kind=LotKind.PROMO):
        used = min(unposted, lot.remaining_nano)
        unposted -= used
        if lot.remaining_nano > used:
            total += lot.remaining_nano - used
            expires_at = expires_at or lot.expires_at
    return total, expires_at
