"""Opening a wallet in Valkey from PostgreSQL, when the gateway meets one that Valkey does not know."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, transaction
from msgspec import MsgspecError
from redis.exceptions import RedisError

from accounts import budgets
from accounts.models import Organization
from billing import admission, holds, spending, spool, wallets
from fastanchor.lib.valkey import sync_client


class WalletUnavailable(holds.HoldsUnavailable):
    """The wallet cannot be opened now: Valkey has just lost its memory, or it or PostgreSQL is away."""


def open_organization(organization_id: str) -> str:
    """Make a wallet, and what counts against its organization's budgets, known to Valkey and return the epoch in which that is so.

    Raises ``WalletUnavailable`` until the shippers have registered what the spools know.
    """
    try:
        return _open(organization_id)
    except (RedisError, DatabaseError, OSError, MsgspecError, Organization.DoesNotExist) as exc:
        raise WalletUnavailable from exc


def _open(organization_id: str) -> str:
    client = sync_client()
    mark = holds.begin_opening(client, organization_id)
    mode = admission.current()
    epoch = holds.ensure_epoch(client)
    # An epoch that took over from PostgreSQL begins with every hold known there: nobody has to be waited for.
    if epoch.name != mode.complete_epoch:
        _wait_for_shippers(epoch)
    # Under the wallet's lock no settlement can come between its balance, what was spent and held, and the telling of it.
    with transaction.atomic():
        wallet, spent = _truth(organization_id)
        if admission.is_degraded():
            raise WalletUnavailable(retry_after_s=0.0)
        holds.register(client, epoch=epoch, holds=admission.of_organization(organization_id))
        is_open = holds.open_wallet(client, epoch=epoch, wallet=wallet, mark=mark, spending=spent)
    # Valkey has lost its memory since we began: the wallet would stand there without what was held.
    if not is_open:
        raise WalletUnavailable
    return epoch.name


def _wait_for_shippers(epoch: holds.Epoch) -> None:
    missing_s = settings.HOLD_REBUILD_GRACE_S - epoch.age_s
    if missing_s > 0:
        raise WalletUnavailable(retry_after_s=missing_s)
    # The grace is for shippers of other hosts; our own may be away for longer.
    if not spool.is_registered(settings.SPOOL_DIR, epoch.name):
        raise WalletUnavailable


def _truth(organization_id: str) -> tuple[holds.PublishedWallet, holds.Spending]:
    organization = Organization.objects.get(pk=organization_id)
    wallet = wallets.lock(organization)
    subjects = [subject for subject, _ in budgets.subjects(organization)]
    return wallets.published(wallet), spending.of_subjects(organization_id, subjects)
