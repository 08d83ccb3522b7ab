"""PostgreSQL decides holds as Valkey does, and both together never count a request twice or leave one out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import msgspec
import pytest
import redis
from django.conf import settings
from django.db import connections
from django.test import Client

from accounts.models import Organization
from billing import admission, audit, degraded_holds, grants, holds, opening
from billing.holds import Ask, RegisteredHold
from billing.models import Admission, DegradedHold, GatewayProcess, SpoolHost
from billing.refusals import InsufficientCredit
from billing.settlement import settle_batch
from billing.store import Answer
from fastanchor.lib.valkey import TurnPipeline
from tests.billing.cast import usage
from tests.billing.test_holds import ask

pytestmark = pytest.mark.django_db(transaction=True)

Make = Callable[..., str]
OWN_COSTS_NOTHING: dict[str, Any] = {
    "mode": holds.OWN,
    "output_tokens": holds.UNBOUNDED,
    "least_output_tokens": 0,
    "input_cost_picos": 0,
    "output_rate_picos": 0,
}
FACTS: dict[str, int | bool] = {"period": 0, "answers": True, "placed": 0, "refused": 0}


def beat(spool: str = "spool_a", host: str = "host_a", **facts: int | bool) -> Any:
    return admission.beat(spool, host, FACTS | facts)


def open_period() -> int:
    """Let one process and its shipper change over, and return the period."""
    beat()
    admission.wanted_of("host_a", ())
    admission.enter(admission.current().period)
    period = admission.current().period
    admission.follow("spool_a", period, [])
    assert admission.wanted_of("host_a", ()) == period
    admission.tell("host_a", period, [])
    assert beat(period=period).is_open
    return period


def grant(organization: Organization, nano: int, key: str = "g") -> None:
    grants.grant(organization=organization, amount_nano=nano, reason="Test", key=key, actor="system")


def placed(period: int, asked: Ask, ended: tuple[str, ...] = ()) -> Answer:
    answer = degraded_holds.place(period, "spool_a", asked, ended)
    assert answer is not None
    return answer


def of(organization: Organization, number: int, **changes: Any) -> Ask:
    return ask(number, organization_id=organization.pk, **changes)


def held() -> dict[str, int]:
    return dict(DegradedHold.objects.values_list("request_id", "amount_nano"))


def test_a_period_opens_only_once_every_process_and_every_shipper_has_told_what_it_knows(
    lasting_organization: Organization,
) -> None:
    for spool, host in (("spool_a", "host_a"), ("spool_b", "host_b")):
        beat(spool, host)
        admission.wanted_of(host, ())
    admission.enter(admission.current().period)
    period = admission.current().period

    admission.follow("spool_a", period, [])
    assert admission.wanted_of("host_a", ()) == period
    admission.tell("host_a", period, [])
    assert not beat(period=period).is_open
    # A shipper waits for the processes of its host.
    assert admission.wanted_of("host_b", ()) == 0
    assert degraded_holds.place(period, "spool_a", of(lasting_organization, 1), ()) is None

    admission.follow("spool_b", period, [])
    assert not beat(period=period).is_open
    assert admission.wanted_of("host_b", ()) == period
    admission.tell("host_b", period, [])
    assert beat(period=period).is_open


def test_a_dead_process_is_waited_for_no_longer_than_its_shipper_needs_to_tell_of_it() -> None:
    for spool in ("spool_a", "spool_b"):
        beat(spool)
    admission.enter(admission.current().period)
    period = admission.current().period
    admission.follow("spool_a", period, [])

    assert admission.wanted_of("host_a", ()) == 0
    assert admission.wanted_of("host_a", ["spool_b"]) == period


def test_two_processes_that_find_valkey_away_begin_one_period() -> None:
    beat()
    period = admission.current().period

    admission.enter(period)
    admission.enter(period)

    assert admission.current().period == period + 1


def test_a_crowd_is_admitted_exactly_as_far_as_the_money_goes(lasting_organization: Organization) -> None:
    grant(lasting_organization, 1_000)
    period = open_period()

    def one(number: int) -> int:
        try:
            return placed(period, of(lasting_organization, number)).status
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(one, range(60)))

    assert (statuses.count(0), statuses.count(5)) == (10, 50)
    assert sum(held().values()) == 1_000


def test_postgresql_decides_as_valkey_does(
    lasting_organization: Organization, make_key: Make, seed: int
) -> None:
    key = make_key(lasting_organization, budget_total_nano=600_000)
    Organization.objects.update(budget_total_nano=900_000)
    grant(lasting_organization, 1_000_000)
    settle_batch([usage(lasting_organization, key_id=key, cost_nano=123, cost_picos=123_000)])
    chance = Random(seed)
    asked = [_drawn(chance, lasting_organization, key, number) for number in range(60)]

    by_valkey = asyncio.run(_by_valkey(asked))
    period = open_period()
    by_postgresql = [_told(placed(period, one)) for one in asked]

    assert by_postgresql == by_valkey
    assert len({told[0] for told in by_valkey}) == 2


def _drawn(chance: Random, organization: Organization, key: str, number: int) -> Ask:
    if chance.random() < 0.1:
        budgets = chance.choice(((), (key, "lifetime", 600_000), (key, "lifetime", 0)))
        return of(organization, number, key_id=key, budgets=budgets, **OWN_COSTS_NOTHING)
    mode = chance.choice(("explicit", "stream", "whole"))
    wanted = chance.randint(1, 100_000)
    return of(
        organization,
        number,
        key_id=key,
        mode=mode,
        output_tokens=wanted,
        least_output_tokens=wanted if mode == "explicit" else chance.choice((1, 256)),
        input_cost_picos=chance.randint(0, 20_000_000),
        output_rate_picos=chance.choice((0, 333, 1_000, 7_777)),
        budgets=chance.choice(((), (key, "lifetime", 600_000), (organization.pk, "lifetime", 900_000))),
    )


async def _by_valkey(asked: list[Ask]) -> list[tuple[int, ...]]:
    pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=10)
    book = holds.Holds(pipeline, lambda name: asyncio.to_thread(_opened, name))
    found: list[tuple[int, ...]] = []
    for one in asked:
        try:
            hold = await book.place(one)
            found.append((0, hold.amount_nano, hold.output_tokens, hold.left_nano))
        except InsufficientCredit as refused:
            found.append((5, refused.left_nano, refused.needed_nano, refused.affordable_tokens))
    await pipeline.close()
    return found


def _opened(organization_id: str) -> str:
    try:
        return opening.open_organization(organization_id)
    finally:
        connections.close_all()


def _told(answer: Answer) -> tuple[int, ...]:
    return (answer.status, *answer.numbers[:3])


def test_a_settlement_takes_the_hold_away_with_the_money(lasting_organization: Organization) -> None:
    grant(lasting_organization, 6_000)
    period = open_period()
    spent = usage(lasting_organization)
    first = msgspec.structs.replace(
        of(lasting_organization, 1, output_tokens=5_000), request_id=spent.request_id
    )
    assert placed(period, first).status == 0
    assert placed(period, of(lasting_organization, 2, output_tokens=1_001)).status == 5

    settle_batch([spent])

    assert held() == {}
    assert placed(period, of(lasting_organization, 3, output_tokens=5_000)).status == 0
    assert placed(period, of(lasting_organization, 4, output_tokens=1)).status == 5


def test_what_ran_before_counts_and_what_was_settled_before_does_not(
    lasting_organization: Organization,
) -> None:
    grant(lasting_organization, 10_000)
    done = usage(lasting_organization)
    settle_batch([done])
    beat()
    admission.enter(admission.current().period)
    period = admission.current().period

    running = RegisteredHold(lasting_organization.pk, "req_runs", "key_alice", 4_000, is_running=True)
    late = RegisteredHold(lasting_organization.pk, done.request_id, "key_alice", 5_000, is_running=True)
    admission.follow("spool_a", period, [running, late])
    admission.wanted_of("host_a", ())
    smaller = RegisteredHold(lasting_organization.pk, "req_runs", "key_alice", 3_000, is_running=True)
    admission.tell("host_a", period, [("spool_a", smaller)])

    assert held() == {"req_runs": 4_000}


def test_a_hold_grows_as_far_as_there_is_credit(lasting_organization: Organization) -> None:
    grant(lasting_organization, 1_000)
    period = open_period()
    stream = of(lasting_organization, 1, mode="stream", output_tokens=600, least_output_tokens=1)
    placed(period, stream)

    assert degraded_holds.extend(period, stream, 300) == (300, 300)
    assert degraded_holds.extend(period, stream, 300) == (100, 100)
    assert degraded_holds.extend(period, stream, 300) == (0, 0)
    assert degraded_holds.extend(period, of(lasting_organization, 2), 1) == (-1, 0)
    assert held() == {"req_1": 1_000}


def test_running_requests_are_counted_and_ended_ones_are_not(lasting_organization: Organization) -> None:
    grant(lasting_organization, 1_000)
    period = open_period()
    placed(period, of(lasting_organization, 1, output_tokens=1, concurrency=2))
    placed(period, of(lasting_organization, 2, output_tokens=1, concurrency=2))

    assert placed(period, of(lasting_organization, 3, output_tokens=1, concurrency=2)).status == 4
    assert placed(period, of(lasting_organization, 3, output_tokens=1, concurrency=2), ("req_1",)).status == 0
    degraded_holds.release(["req_2"], ["req_1"])
    assert placed(period, of(lasting_organization, 4, output_tokens=1, concurrency=2)).status == 0
    assert set(held()) == {"req_1", "req_3", "req_4"}


def test_valkey_takes_over_with_every_hold_and_nothing_it_remembers_counts(
    lasting_organization: Organization, valkey: redis.Redis
) -> None:
    grant(lasting_organization, 10_000)
    opening.open_organization(lasting_organization.pk)
    old = holds.ensure_epoch(valkey)
    stale = RegisteredHold(lasting_organization.pk, "req_stale", "key_alice", 9_000, is_running=True)
    holds.register(valkey, epoch=old, holds=[stale])
    period = open_period()
    placed(period, of(lasting_organization, 1, output_tokens=4_000))

    admission.leave(period)
    epoch = opening.open_organization(lasting_organization.pk)

    assert epoch not in {old.name, ""}
    assert holds.known_wallet(valkey, lasting_organization.pk) == holds.KnownWallet(10_000, 4_000, 1)
    assert degraded_holds.place(period, "spool_a", of(lasting_organization, 2), ()) is None
    # What is late and belongs to the old memory changes nothing.
    wallet = holds.PublishedWallet(lasting_organization.pk, 1, 10_000)
    mark = holds.begin_opening(valkey, lasting_organization.pk)
    assert not holds.open_wallet(valkey, epoch=old, wallet=wallet, mark=mark)
    holds.register(valkey, epoch=old, holds=[stale])
    assert holds.known_holds(valkey, lasting_organization.pk) == {"req_1": 4_000}


def test_valkey_does_not_take_over_before_every_process_reaches_it() -> None:
    period = open_period()
    beat("spool_b", period=period, answers=False)

    admission.leave(period)
    assert admission.is_degraded()

    beat("spool_b", period=period, answers=True)
    admission.leave(period)
    assert not admission.is_degraded()


def test_no_wallet_is_opened_in_valkey_while_postgresql_decides(lasting_organization: Organization) -> None:
    open_period()

    with pytest.raises(opening.WalletUnavailable):
        opening.open_organization(lasting_organization.pk)


def test_what_a_dead_process_held_in_vain_ends_with_its_spool(lasting_organization: Organization) -> None:
    grant(lasting_organization, 1_000)
    period = open_period()
    placed(period, of(lasting_organization, 1))

    admission.forget("spool_a")

    assert held() == {}
    assert not GatewayProcess.objects.exists()
    assert SpoolHost.objects.count() == Admission.objects.count() == 1


def test_the_audit_finds_money_that_a_settled_request_still_holds(lasting_organization: Organization) -> None:
    spent = usage(lasting_organization)
    settle_batch([spent])
    checks = {check.name: check for check in audit.stored_checks()}
    assert checks["I15"].ok

    DegradedHold.objects.create(
        request_id=spent.request_id,
        organization_id=lasting_organization.pk,
        key_id="k",
        amount_nano=5,
        spool="s",
    )

    checks = {check.name: check for check in audit.stored_checks()}
    assert checks["I15"].culprits == [
        f"{spent.request_id}: settled, and still holds 5 nano-USD in PostgreSQL"
    ]


def test_staff_see_who_decides_and_how_each_process_fares(staff: Client) -> None:
    assert "errornote" not in staff.get("/admin/").content.decode()
    period = open_period()
    beat(period=period, placed=7, refused=3, answers=False)

    assert "PostgreSQL stands in for it" in staff.get("/admin/").content.decode()
    told = staff.get("/admin/billing/gatewayprocess/").content.decode()
    assert "spool_a" in told
    assert ">7<" in told
    assert ">3<" in told
