"""What a member's requests hold is known again after Valkey lost its memory."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest
import redis
from django.db import OperationalError

from accounts.models import Organization
from billing import holds
from billing.settlement import Settlement
from billing.shipper import Shipper
from billing.spool import Spool
from tests.billing.cast import usage
from tests.billing.test_shipper import intent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("is_dead", [False, True])
def test_after_a_flush_what_runs_and_what_ended_counts_for_the_member_again(
    spool_root: Path,
    valkey: redis.Redis,
    lasting_organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_dead: bool,
) -> None:
    writer = Spool.create(spool_root)
    running, ended, other = (usage(lasting_organization) for _ in range(3))
    for request in (running, ended):
        writer.append(msgspec.structs.replace(intent(request), member="user_7"))
    writer.append(intent(other))
    writer.append(ended)
    shipper = Shipper(spool_root, valkey)

    def held() -> list[int]:
        return holds.known_held(valkey, lasting_organization.pk, ["key_alice", "user_7"])

    if is_dead:
        writer.close()
    with monkeypatch.context() as away:
        # PostgreSQL is away: everything stays in the shipper's hands.
        away.setattr("billing.shipper.settle_batch", _away)
        for _ in range(2):
            with contextlib.suppress(OperationalError):
                shipper.step()
        valkey.flushdb()
        monkeypatch.setattr(shipper, "_epoch_checked_at", float("-inf"))
        shipper._watch_epoch()

    assert held() == [5_000 + 5_000 + 1_000, 5_000 + 1_000]
    for _ in range(3):
        shipper.step()
    assert held() == ([0, 0] if is_dead else [10_000, 5_000])
    if not is_dead:
        writer.close()


def test_what_a_dead_gateway_left_counts_for_the_member_again(
    spool_root: Path, valkey: redis.Redis, lasting_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Spool.create(spool_root)
    writer.append(msgspec.structs.replace(intent(usage(lasting_organization)), member="user_7"))
    writer.close()
    shipper = Shipper(spool_root, valkey)
    monkeypatch.setattr("billing.shipper.settle_batch", _away)
    shipper.step()
    with pytest.raises(OperationalError):
        shipper.step()

    valkey.flushdb()
    monkeypatch.setattr(shipper, "_epoch_checked_at", float("-inf"))
    shipper._watch_epoch()

    # What it will cost: its last estimate.
    assert holds.known_held(valkey, lasting_organization.pk, ["key_alice", "user_7"]) == [400, 400]


def _away(*_: object, **__: object) -> list[Settlement]:
    raise OperationalError
