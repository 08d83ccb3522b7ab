"""Opening a wallet in Valkey: exact, and closed while holds are being rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import redis
from django.db import OperationalError
from pytest_django import Settings

from accounts import keys
from accounts.models import ApiKey, Organization
from billing import grants, holds, opening
from billing.settlement import settle_batch
from billing.shipper import Shipper
from billing.spool import Intent, Spool
from fastanchor.lib.valkey import sync_client
from tests.billing.cast import no_valkey, usage

pytestmark = pytest.mark.django_db

Make = Callable[..., str]


def intent(organization: Organization, *, hold_nano: int) -> Intent:
    request = usage(organization)
    return Intent(
        request.request_id, request.organization_id, request.key_id, request.model_id, request.provider_id,
        request.channel_id, request.price_id, request.started_at_ms, request.is_stream, hold_nano, 0,
    )  # fmt: skip


def test_an_opened_wallet_has_postgresqls_balance(organization: Organization, valkey: redis.Redis) -> None:
    grants.grant(organization=organization, amount_nano=5_000, reason="Test", key="g", actor="system")
    settle_batch([usage(organization)])

    epoch = opening.open_organization(organization.pk)

    assert epoch == holds.ensure_epoch(valkey).name
    assert holds.known_wallet(valkey, organization.pk) == holds.KnownWallet(4_000, 0, 0)


def test_keys_with_a_budget_are_opened_with_what_they_have_spent(
    organization: Organization, make_key: Make, valkey: redis.Redis
) -> None:
    spent, fresh = (make_key(organization, budget_total_nano=9_000) for _ in range(2))
    unlimited = make_key(organization)
    revoked = make_key(organization, budget_month_nano=9_000)
    keys.revoke(key=ApiKey.objects.get(pk=revoked), by=None)
    settle_batch([usage(organization, key_id=spent), usage(organization, key_id=unlimited)])

    opening.open_organization(organization.pk)

    def total(key_id: str) -> bytes | None:
        return cast("bytes | None", valkey.hget(f"fa:{{{organization.pk}}}:keys", f"{key_id}:lifetime"))

    assert [total(key_id) for key_id in (spent, fresh, unlimited, revoked)] == [b"1000", b"0", None, None]


def test_a_wallet_stays_closed_while_holds_are_rebuilt(
    organization: Organization, settings: Settings
) -> None:
    settings.HOLD_REBUILD_GRACE_S = 30

    with pytest.raises(opening.WalletUnavailable) as closed:
        opening.open_organization(organization.pk)

    assert 29 < closed.value.retry_after_s <= 30


def test_registered_holds_count_against_the_opened_balance(
    organization: Organization, valkey: redis.Redis
) -> None:
    running = holds.RegisteredHold(organization.pk, "req_1", "key_alice", 120, is_running=True)
    holds.register(valkey, epoch=holds.ensure_epoch(valkey), holds=[running])

    opening.open_organization(organization.pk)

    assert holds.known_wallet(valkey, organization.pk) == holds.KnownWallet(0, 120, 1)


def test_a_wallet_stays_closed_until_our_shipper_has_registered_what_is_in_the_spools(
    organization: Organization, spool_root: Path, valkey: redis.Redis, settings: Settings
) -> None:
    settings.SPOOL_DIR = spool_root
    writer = Spool.create(spool_root)
    writer.append(intent(organization, hold_nano=120))
    with pytest.raises(opening.WalletUnavailable):
        opening.open_organization(organization.pk)

    Shipper(spool_root, valkey).step()

    opening.open_organization(organization.pk)
    assert holds.known_wallet(valkey, organization.pk) == holds.KnownWallet(0, 120, 1)
    writer.close()


def test_with_nothing_to_register_no_shipper_is_waited_for(
    organization: Organization, spool_root: Path, settings: Settings
) -> None:
    settings.SPOOL_DIR = spool_root
    writer = Spool.create(spool_root)

    epoch = opening.open_organization(organization.pk)

    # What came after was admitted in this epoch, so Valkey knows it.
    writer.append(intent(organization, hold_nano=120))
    assert opening.open_organization(organization.pk) == epoch
    writer.close()


def test_an_unknown_organization_is_unavailable(db: None) -> None:
    with pytest.raises(holds.HoldsUnavailable):
        opening.open_organization("org_unknown")


def test_a_fault_of_postgresql_or_valkey_is_unavailable(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(organization_id: str) -> None:
        raise OperationalError

    monkeypatch.setattr(opening, "sync_client", no_valkey)
    with pytest.raises(opening.WalletUnavailable):
        opening.open_organization(organization.pk)
    monkeypatch.setattr(opening, "sync_client", sync_client)
    monkeypatch.setattr(opening, "_truth", broken)
    with pytest.raises(opening.WalletUnavailable):
        opening.open_organization(organization.pk)


def test_a_wallet_opened_while_valkey_lost_its_memory_is_not_offered(
    organization: Organization, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = opening._truth

    def lose_memory(organization_id: str) -> tuple[holds.PublishedWallet, holds.Spending]:
        valkey.flushdb()
        return read(organization_id)

    monkeypatch.setattr(opening, "_truth", lose_memory)

    with pytest.raises(opening.WalletUnavailable):
        opening.open_organization(organization.pk)

    # Not even to a gateway that still goes by the memory of before.
    assert holds.known_wallet(valkey, organization.pk) is None
