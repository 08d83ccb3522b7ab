"""Posting: what usage has taken from wallets goes to the ledger, one journal per organization; expired credit leaves.

Everything here is safe twice and in parallel: it works under the wallet's lock, and a locked wallet is left to
whoever has it and to the next run.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Organization
from billing import admission, holds, ledger, lots, wallets
from billing.models import AccountCode, CreditLot, Journal, JournalKind, LotKind, Wallet
from fastanchor.lib.valkey import sync_client


def post_usage() -> int:
    """Post the unposted usage of every organization; returns the number of journals."""
    waiting = Wallet.objects.filter(unposted_nano__gt=0).order_by("pk").values_list("pk", flat=True)
    return sum(_post_one(organization_id) for organization_id in list(waiting))


def _post_one(organization_id: str) -> bool:
    with transaction.atomic(durable=True):
        unlocked = Wallet.objects.select_for_update(skip_locked=True, of=("self",)).select_related(
            "organization"
        )
        wallet = unlocked.filter(pk=organization_id, unposted_nano__gt=0).first()
        if wallet is not None:
            post_wallet(wallet)
    return wallet is not None


def post_wallet(wallet: Wallet) -> Journal:
    """Post the unposted usage of one locked wallet; the balance, which has it already, stays."""
    consumed = lots.consume(wallet, wallet.unposted_nano)
    journal = ledger.post(
        # Usage appears only with a newer version, so no version is posted twice.
        key=f"usage:{wallet.organization_id}:{wallet.version}",
        kind=JournalKind.USAGE,
        legs={
            AccountCode.WALLET_PROMO: consumed.promo_nano,
            AccountCode.WALLET_PAID: consumed.paid_nano,
            AccountCode.USAGE_REVENUE: -wallet.unposted_nano,
        },
        organization=wallet.organization,
        reason="Usage",
        actor="system",
        source=("wallet_version", str(wallet.version)),
    )
    wallet.unposted_nano = 0
    wallet.save(update_fields=["unposted_nano"])
    return journal


def expire_lots(*, now: datetime | None = None) -> int:
    """Take expired credit out of the wallets; returns the number of lots that ended.

    Running requests may still spend expired credit: while Valkey cannot tell what is held, because it has just lost
    its memory, nothing expires, and while it is away ``RedisError`` is raised. Nor does anything while PostgreSQL
    stands in for it.
    """
    at = now or timezone.now()
    if admission.is_degraded() or holds.ensure_epoch(sync_client()).age_s < settings.HOLD_REBUILD_GRACE_S:
        return 0
    owners = CreditLot.objects.filter(expires_at__lte=at, remaining_nano__gt=0).order_by("organization_id")
    ids = owners.values_list("organization_id", flat=True).distinct()
    return sum(_expire_of(organization, at) for organization in Organization.objects.filter(pk__in=list(ids)))


def _expire_of(organization: Organization, at: datetime) -> int:
    with transaction.atomic(durable=True):
        wallet = wallets.lock(organization)
        if wallet.unposted_nano:
            post_wallet(wallet)
        held_nano = sum(holds.known_holds(sync_client(), organization.id).values())
        ended = _expire_locked(wallet, at, held_nano=held_nano)
    wallets.publish([wallet])
    return ended


def end_credit(organization: Organization) -> int:
    """Take all credit out of a wallet from which nothing is spent any more; returns the number of lots that ended."""
    with transaction.atomic(durable=True):
        wallet = wallets.lock(organization)
        if wallet.unposted_nano:
            post_wallet(wallet)
        ended = list(CreditLot.objects.consumable(wallet.organization_id))
        for lot in ended:
            _expire(wallet, lot, lot.remaining_nano)
    wallets.publish([wallet])
    return len(ended)


def _expire_locked(wallet: Wallet, at: datetime, *, held_nano: int) -> int:
    """Expire the lots of a locked wallet, but what running requests were admitted on: that goes with a later run."""
    ended = 0
    for lot in CreditLot.objects.consumable(wallet.organization_id).filter(expires_at__lte=at):
        kept = min(held_nano, lot.remaining_nano)
        held_nano -= kept
        if lot.remaining_nano > kept:
            _expire(wallet, lot, lot.remaining_nano - kept)
        ended += not kept
    return ended


def _expire(wallet: Wallet, lot: CreditLot, amount_nano: int) -> None:
    side = AccountCode.WALLET_PAID if lot.kind == LotKind.PAID else AccountCode.WALLET_PROMO
    ledger.post(
        key=f"expiry:{lot.pk}:{lot.remaining_nano}",
        kind=JournalKind.EXPIRY,
        legs={side: amount_nano, AccountCode.BREAKAGE: -amount_nano},
        organization=wallet.organization,
        reason="Credit expired",
        actor="system",
        source=("lot", str(lot.pk)),
    )
    lot.remaining_nano -= amount_nano
    lot.save(update_fields=["remaining_nano"])
    wallets.change(wallet, balance_by=-amount_nano)
