"""Opening a wallet in Valkey from PostgreSQL, when the gateway meets one that Valkey does not know."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q
from msgspec import MsgspecError
from redis.exceptions import RedisError

from accounts.models import ApiKey, Organization
from billing import holds, settlement, spool, wallets
from fastanchor.lib.valkey import sync_client


class WalletUnavailable(holds.HoldsUnavailable):
    """The wallet cannot be opened now: Valkey has just lost its memory, or it or PostgreSQL is away."""


def open_organization(organization_id: str) -> str:
    """Make a wallet and its keys' budgets known to Valkey and return the epoch in which that is so.

    Raises ``WalletUnavailable`` until the shippers have registered what the spools know.
    """
    try:
        return _open(organization_id)
    except (RedisError, DatabaseError, OSError, MsgspecError, Organization.DoesNotExist) as exc:
        raise WalletUnavailable from exc


def _open(organization_id: str) -> str:
    client = sync_client()
    epoch = holds.ensure_epoch(client)
    missing_s = settings.HOLD_REBUILD_GRACE_S - epoch.age_s
    if missing_s > 0:
        raise WalletUnavailable(retry_after_s=missing_s)
    # The grace is for shippers of other hosts; our own may be away for longer.
    if not spool.is_registered(settings.SPOOL_DIR, epoch.name):
        raise WalletUnavailable
    wallet, key_spend = _truth(organization_id)
    holds.open_wallet(client, epoch=epoch, wallet=wallet, key_spend=key_spend)
    # Should Valkey have lost its memory just now, what was written above stands there without the running holds.
    if holds.ensure_epoch(client).name != epoch.name:
        raise WalletUnavailable
    return epoch.name


def _truth(organization_id: str) -> tuple[holds.PublishedWallet, list[holds.KeySpent]]:
    organization = Organization.objects.get(pk=organization_id)
    # Under the wallet's lock no settlement can come between its balance and the spending of its keys.
    with transaction.atomic():
        wallet = wallets.lock(organization)
        has_budget = Q(budget_total_nano__isnull=False) | Q(budget_month_nano__isnull=False)
        key_ids = ApiKey.objects.filter(has_budget, organization=organization, revoked_at=None).values_list(
            "pk", flat=True
        )
        return wallets.published(wallet), settlement.key_spent(list(key_ids))
