"""The shipper: nothing in a spool is lost, nothing counts twice, whatever fails on the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import redis
from django.db import OperationalError, connection
from pytest_django import Settings

from accounts.models import Organization
from billing import announcements, holds, opening, settlement, shipper as shipping, tally
from billing.models import DeadLetter, UsageRecord, Wallet
from billing.shipper import Shipper
from billing.spool import Checkpoint, Intent, Spool, SpoolReader, Usage, Void, spools
from tests.billing.cast import usage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def spool(spool_root: Path) -> Iterator[Spool]:
    spool_root.mkdir()
    writer = Spool.create(spool_root, segment_bytes=64 * 1024)
    yield writer
    writer.close()


@pytest.fixture
def shipper(spool_root: Path, valkey: redis.Redis) -> Shipper:
    return Shipper(spool_root, valkey)


def intent(request: Usage, *, hold_nano: int = 5_000, cost_nano: int = 400) -> Intent:
    return Intent(
        request.request_id, request.organization_id, request.key_id, request.model_id, request.provider_id,
        request.channel_id, request.price_id, request.started_at_ms, request.is_stream, hold_nano, cost_nano,
    )  # fmt: skip


def serve(spool: Spool, *requests: Usage) -> None:
    for request in requests:
        spool.append(intent(request))
        spool.append(request)


def unacknowledged(spool: Spool) -> list[str]:
    return [entry.record.request_id for entry in SpoolReader(spool.folder).read(10_000)]


def held(valkey: redis.Redis, organization: Organization) -> dict[str, int]:
    return holds.known_holds(valkey, organization.pk)


def hold(valkey: redis.Redis, organization: Organization, request: str, nano: int = 5_000) -> None:
    """Let Valkey hold money for a request, as the gateway does."""
    registered = holds.RegisteredHold(organization.pk, request, "key_alice", nano, is_running=True)
    holds.register(valkey, epoch=holds.ensure_epoch(valkey), holds=[registered])


def test_what_was_served_becomes_records_and_is_acknowledged(
    spool: Spool, shipper: Shipper, lasting_organization: Organization
) -> None:
    requests = [usage(lasting_organization) for _ in range(3)]
    serve(spool, *requests)

    assert shipper.step() == 6

    assert UsageRecord.objects.count() == 3
    assert unacknowledged(spool) == []
    assert shipper.step() == 0


def test_what_was_settled_is_counted_for_those_who_watch(
    spool: Spool, shipper: Shipper, lasting_organization: Organization, valkey: redis.Redis
) -> None:
    serve(spool, *[usage(lasting_organization) for _ in range(3)])

    shipper.step()

    sums, [shipping_] = tally.read(valkey)
    assert sums[tally.Sum("requests", "openai", "completed", "200")] == 3
    assert sums[tally.Sum("cost_nano", "openai", "completed", "200")] == 3_000
    assert shipping_.lag_s > 0


def test_a_settled_request_holds_nothing_and_is_in_the_balance(
    spool: Spool, shipper: Shipper, lasting_organization: Organization, valkey: redis.Redis
) -> None:
    opening.open_organization(lasting_organization.pk)
    request, void = usage(lasting_organization), usage(lasting_organization)
    hold(valkey, lasting_organization, request.request_id)
    hold(valkey, lasting_organization, void.request_id)
    serve(spool, request)
    spool.append(intent(void))
    spool.append(Void(void.request_id))

    shipper.step()

    assert holds.known_wallet(valkey, lasting_organization.pk) == holds.KnownWallet(-1_000, 0, 0)
    assert held(valkey, lasting_organization) == {}


def test_live_pages_hear_which_requests_are_new(
    spool: Spool, shipper: Shipper, lasting_organization: Organization, valkey: redis.Redis
) -> None:
    request = usage(lasting_organization)
    with valkey.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(announcements.live_channel(lasting_organization.pk))
        pubsub.get_message(timeout=1)
        serve(spool, request)
        shipper.step()
        message = pubsub.get_message(timeout=1)

    assert message is not None
    assert json.loads(message["data"]) == [request.request_id]


def test_an_open_request_is_never_acknowledged(
    spool: Spool, shipper: Shipper, spool_root: Path, valkey: redis.Redis, lasting_organization: Organization
) -> None:
    first, running, last = (usage(lasting_organization) for _ in range(3))
    serve(spool, first)
    spool.append(intent(running))
    serve(spool, last)
    shipper.step()
    assert unacknowledged(spool) == [running.request_id, last.request_id, last.request_id]

    # The shipper dies and another one goes on: nothing counts twice and the running request is still known.
    another = Shipper(spool_root, valkey)
    another.step()
    spool.append(running)
    another.step()

    assert UsageRecord.objects.count() == 3
    assert Wallet.objects.get().balance_nano == -3_000
    assert unacknowledged(spool) == []


def test_requests_of_a_dead_gateway_are_interrupted_and_its_spool_is_removed(
    spool_root: Path, shipper: Shipper, lasting_organization: Organization
) -> None:
    spool_root.mkdir()
    spool = Spool.create(spool_root)
    done, streaming, waiting = (usage(lasting_organization) for _ in range(3))
    serve(spool, done)
    spool.append(intent(streaming))
    spool.append(Checkpoint(streaming.request_id, 9_000, 2_500, 31))
    spool.append(intent(waiting, hold_nano=300, cost_nano=400))
    spool.close()

    shipper.step()
    shipper.step()

    rows = UsageRecord.objects.in_bulk()
    assert rows[done.request_id].outcome == "completed"
    cut = rows[streaming.request_id]
    assert (cut.outcome, cut.cost_nano, cut.output_tokens, cut.is_estimated) == (
        "interrupted",
        2_500,
        31,
        True,
    )
    assert rows[waiting.request_id].cost_nano == 300
    assert spools(spool_root) == []
    assert Wallet.objects.get().balance_nano == -3_800


def test_one_poison_in_200_is_put_aside_and_the_others_settle(
    spool: Spool, shipper: Shipper, lasting_organization: Organization, valkey: redis.Redis
) -> None:
    requests = [usage(lasting_organization) for _ in range(200)]
    poison = usage(lasting_organization, outcome="unheard_of")
    requests[137] = poison
    hold(valkey, lasting_organization, poison.request_id)
    serve(spool, *requests)

    shipper.step()

    assert UsageRecord.objects.count() == 199
    assert Wallet.objects.get().balance_nano == -199_000
    letter = DeadLetter.objects.get()
    assert letter.request_id == poison.request_id
    assert json.loads(letter.payload)["cost_nano"] == 1_000
    assert held(valkey, lasting_organization) == {}
    assert unacknowledged(spool) == []


def test_poison_without_an_organization_or_with_impossible_text_is_put_aside_too(
    spool: Spool, shipper: Shipper, lasting_organization: Organization
) -> None:
    serve(
        spool,
        usage(lasting_organization, organization_id="org_gone"),
        usage(lasting_organization, organization_id="\0"),
        usage(lasting_organization, started_at_ms=2**62),
        usage(lasting_organization),
    )

    shipper.step()

    assert DeadLetter.objects.count() == 3
    assert UsageRecord.objects.count() == 1


def test_a_record_of_another_version_holds_up_no_other_spool(
    spool: Spool, spool_root: Path, shipper: Shipper, lasting_organization: Organization
) -> None:
    newer = Spool.create(spool_root)
    newer.append(NewerIntent("req_1", colour="blue"))  # type: ignore[arg-type]
    serve(spool, usage(lasting_organization))

    shipper.step()

    assert UsageRecord.objects.count() == 1
    assert len(spools(spool_root)) == 2
    newer.close()


class NewerIntent(msgspec.Struct, tag="N", array_like=True):
    """A record that this version does not know."""

    request_id: str
    colour: str


def test_a_fault_of_postgresql_loses_nothing(
    spool: Spool, shipper: Shipper, lasting_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(spool, usage(lasting_organization))
    settle, failures = settlement.settle_batch, iter([OperationalError("the server is going away")])

    def failing(*args: object, **kwargs: object) -> object:
        for failure in failures:
            raise failure
        return settle(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(shipping, "settle_batch", failing)
    with pytest.raises(OperationalError):
        shipper.step()
    assert len(unacknowledged(spool)) == 2

    shipper.step()

    assert UsageRecord.objects.count() == 1
    assert not DeadLetter.objects.exists()
    assert unacknowledged(spool) == []


class UnsteadyValkey:
    """A client whose calls fail while it is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.is_away = False

    def __getattr__(self, name: str) -> object:
        if self.is_away:
            raise redis.ConnectionError("away")
        return getattr(self._client, name)


def test_while_valkey_is_away_money_settles_and_holds_end_once_it_is_back(
    spool: Spool,
    spool_root: Path,
    lasting_organization: Organization,
    valkey: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shipping, "_VALKEY_PAUSE_S", 0)
    opening.open_organization(lasting_organization.pk)
    unsteady = UnsteadyValkey(valkey)
    shipper = Shipper(spool_root, unsteady)  # type: ignore[arg-type]
    shipper.step()
    request = usage(lasting_organization)
    hold(valkey, lasting_organization, request.request_id)
    serve(spool, request)

    unsteady.is_away = True
    shipper.step()
    assert UsageRecord.objects.count() == 1
    assert unacknowledged(spool) != []
    unsteady.is_away = False
    shipper.step()

    assert holds.known_wallet(valkey, lasting_organization.pk) == holds.KnownWallet(-1_000, 0, 0)
    assert unacknowledged(spool) == []


def test_a_valkey_without_memory_learns_what_runs_and_what_is_not_settled(
    spool: Spool,
    shipper: Shipper,
    lasting_organization: Organization,
    valkey: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shipping, "_EPOCH_CHECK_S", 0)
    done, running, streaming, unsettled, void = (usage(lasting_organization) for _ in range(5))
    serve(spool, done)
    spool.append(intent(running))
    spool.append(intent(streaming))
    shipper.step()
    valkey.flushdb()
    spool.append(Checkpoint(streaming.request_id, 9_000, 800, 3))
    serve(spool, unsettled)
    spool.append(intent(void))
    spool.append(Void(void.request_id))

    monkeypatch.setattr(shipping, "settle_batch", _refuse)
    with pytest.raises(OperationalError):
        shipper.step()

    expected = {running.request_id: 5_000, streaming.request_id: 9_000, unsettled.request_id: 1_000}
    assert held(valkey, lasting_organization) == expected
    monkeypatch.undo()
    shipper.step()
    expected.pop(unsettled.request_id)
    assert held(valkey, lasting_organization) == expected


def _refuse(*args: object, **kwargs: object) -> None:
    raise OperationalError("away")


def test_holds_are_registered_only_after_half_the_grace(
    spool: Spool,
    shipper: Shipper,
    lasting_organization: Organization,
    valkey: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> None:
    monkeypatch.setattr(shipping, "_EPOCH_CHECK_S", 0)
    settings.HOLD_REBUILD_GRACE_S = 0.4
    running = usage(lasting_organization)
    spool.append(intent(running))

    shipper.step()
    assert held(valkey, lasting_organization) == {}
    threading.Event().wait(0.25)
    shipper.step()

    assert held(valkey, lasting_organization) == {running.request_id: 5_000}


def test_keys_know_when_they_were_last_used(
    spool: Spool,
    shipper: Shipper,
    lasting_organization: Organization,
    make_key: Callable[[Organization], str],
) -> None:
    key_id = make_key(lasting_organization)
    request = usage(lasting_organization, key_id=key_id)
    serve(spool, request)

    shipper.step()

    used_at = lasting_organization.api_keys.get(pk=key_id).last_used_at
    assert used_at is not None
    assert int(used_at.timestamp() * 1000) == request.started_at_ms


def test_it_runs_until_told_to_stop_and_the_next_one_takes_over(
    spool: Spool, spool_root: Path, valkey: redis.Redis, lasting_organization: Organization
) -> None:
    stops = [threading.Event(), threading.Event()]

    def run(stop: threading.Event) -> None:
        Shipper(spool_root, valkey).run(stop)
        connection.close()

    threads = [threading.Thread(target=run, args=[stop]) for stop in stops]
    threads[0].start()
    _wait_until((spool_root / "shipper.lock").exists)
    threads[1].start()
    serve(spool, usage(lasting_organization))
    _wait_until(lambda: UsageRecord.objects.count() == 1)
    stops[0].set()
    threads[0].join(5)
    serve(spool, usage(lasting_organization))
    _wait_until(lambda: UsageRecord.objects.count() == 2)
    stops[1].set()
    threads[1].join(5)

    assert not any(thread.is_alive() for thread in threads)


def _wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        threading.Event().wait(0.02)
    pytest.fail("waited too long")
