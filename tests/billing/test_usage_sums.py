"""Sums of usage: equal to the records at every moment, whatever comes twice, at once or wrongly."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DataError, connection

from accounts import keys
from accounts.models import Organization
from billing import audit, partitions, usage_recount
from billing.models import UsageRecord, UsageSum
from billing.settlement import settle_batch
from billing.spool import Usage
from fastanchor.lib.histogram import bucket_of
from tests.billing.cast import STARTED_AT_MS, make_organization, usage

pytestmark = pytest.mark.django_db

START = datetime.fromtimestamp(STARTED_AT_MS / 1000, UTC)
DAY = START.date()
OUTCOMES = [
    "completed",
    "completed",
    "completed",
    "client_left",
    "cut",
    "upstream_died",
    "free",
    "failed",
    "interrupted",
]


def drawn(organization: Organization, seed: int, count: int) -> list[Usage]:
    """Return requests of all kinds, over three days, of few keys and models."""
    draw = random.Random(seed)
    return [_drawn(organization, draw) for _ in range(count)]


def _drawn(organization: Organization, draw: random.Random) -> Usage:
    outcome = draw.choice(OUTCOMES)
    cost = 0 if outcome in {"free", "failed"} else draw.randrange(10**9)
    start = STARTED_AT_MS + draw.randrange(3 * 24 * 3_600_000)
    changes: dict[str, Any] = {
        "outcome": outcome,
        "status": draw.choice([200, 200, 200, 499, 500, 503, 0]),
        "key_id": draw.choice(["key_a", "key_b"]),
        "model_id": draw.choice(["gpt-4o", "qwen-3.7-max"]),
        "provider_id": draw.choice(["openai", "alibaba"]),
        "started_at_ms": start,
        # Every duration counts, from none at all to one beyond all buckets.
        "finished_at_ms": start + draw.choice([0, 1, 2, 17, 900, 901, 1_000, 61_234, 10**8]),
        "first_token_ms": draw.choice([-1, 0, 1, 333, 40_000]),
        "input_tokens": draw.randrange(10**6),
        "cached_tokens": draw.randrange(10**3),
        "cache_write_tokens": draw.randrange(10**3),
        "output_tokens": draw.randrange(10**4),
        "reasoning_tokens": draw.randrange(10**3),
        "cost_nano": cost,
        "cost_picos": cost * 1_000,
    }
    return usage(organization, **changes)


def differences() -> list[str]:
    [check] = [check for check in audit.stored_checks() if check.name == "I14"]
    return check.culprits


def test_one_request_is_summed_up_in_its_hour_and_in_its_day(organization: Organization) -> None:
    owner = organization.members.get()
    key, _ = keys.create(organization=organization, name="k", created_by=owner)

    settle_batch([usage(organization, key_id=key.pk, cached_tokens=7, reasoning_tokens=3)])

    hour, day = UsageSum.objects.order_by("hours")
    assert hour.start == START.replace(minute=0, second=0, microsecond=0)
    assert day.start == START.replace(hour=0, minute=0, second=0, microsecond=0)
    for each in (hour, day):
        assert (each.key_id, each.member) == (key.pk, f"user_{owner.pk}")
        assert (each.model_id, each.provider_id) == ("gpt-4o", "openai")
        assert (each.requests, each.failed, each.cost_nano) == (1, 0, 1_000)
        assert (each.input_tokens, each.cached_tokens, each.output_tokens) == (200, 7, 50)
        assert each.reasoning_tokens == 3
        assert each.took == {bucket_of(900): 1}
        assert each.first_token == {bucket_of(300): 1}


@pytest.mark.parametrize(
    ("changes", "failed", "timed"),
    [
        ({}, 0, 1),
        ({"status": 499, "outcome": "client_left"}, 0, 1),
        ({"status": 500}, 1, 0),
        ({"outcome": "upstream_died"}, 1, 0),
        ({"status": 400, "outcome": "failed", "cost_nano": 0, "cost_picos": 0}, 1, 0),
        ({"outcome": "free", "cost_nano": 0, "cost_picos": 0}, 1, 0),
        ({"status": 0, "outcome": "interrupted"}, 0, 0),
    ],
)
def test_a_failure_is_counted_and_its_duration_is_not(
    organization: Organization, changes: dict[str, Any], failed: int, timed: int
) -> None:
    settle_batch([usage(organization, **changes)])

    for each in UsageSum.objects.all():
        assert (each.requests, each.failed, sum(each.took.values()), sum(each.first_token.values())) == (
            1,
            failed,
            timed,
            timed,
        )


def test_sums_of_hundreds_of_requests_are_those_of_the_records(organization: Organization, seed: int) -> None:
    everything = drawn(organization, seed, 300)
    for start in range(0, 300, 60):
        settle_batch(everything[start : start + 60])

    days = UsageSum.objects.filter(hours=24)
    by_day: Counter[date] = Counter()
    for each in everything:
        by_day[datetime.fromtimestamp(each.started_at_ms / 1000, UTC).date()] += each.cost_nano
    assert differences() == []
    assert {day.start.date() for day in days} == set(by_day)
    for day, cost in by_day.items():
        assert sum(each.cost_nano for each in days if each.start.date() == day) == cost
    assert sum(day.requests for day in days) == UsageRecord.objects.count() == 300
    assert sum(hour.requests for hour in UsageSum.objects.filter(hours=1)) == 300


def test_what_comes_twice_is_summed_up_once(organization: Organization) -> None:
    once, other = usage(organization, request_id="req_1"), usage(organization, request_id="req_2")
    wrong = usage(organization, request_id="req_1", cost_nano=5_000, cost_picos=5_000_000)

    settle_batch([once, once, wrong])
    settle_batch([other, once])

    assert differences() == []
    assert list(UsageSum.objects.values_list("requests", "cost_nano")) == [(2, 2_000)] * 2


def test_a_batch_that_fails_leaves_no_sum(lasting_organization: Organization) -> None:
    with pytest.raises(DataError, match="NUL"):
        settle_batch([usage(lasting_organization), usage(lasting_organization, request_id="req_\0")])

    assert not UsageSum.objects.exists()


def test_shippers_that_settle_at_once_neither_lose_nor_wait_for_each_other_for_good(
    lasting_organization: Organization,
) -> None:
    everyone = [lasting_organization, make_organization("bob@example.org")]
    everything = [usage for each in everyone for usage in drawn(each, 7, 60)]
    random.Random(1).shuffle(everything)

    def settle(start: int) -> None:
        try:
            settle_batch(everything[start : start + 30])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(settle, range(0, 120, 10)))

    assert UsageRecord.objects.count() == 120
    assert differences() == []


def test_a_recount_names_and_mends_what_differs_and_then_finds_nothing(organization: Organization) -> None:
    partitions.prepare(today=DAY)
    settle_batch(drawn(organization, 3, 40))
    kept = list(
        UsageSum.objects.order_by("start", "hours", "key_id", "model_id", "provider_id").values_list(
            "cost_nano", "took"
        )
    )
    missing, wrong = UsageSum.objects.order_by("pk")[:2]
    missing.delete()
    UsageSum.objects.filter(pk=wrong.pk).update(took={0: 5})
    UsageSum.objects.create(
        **{name: getattr(wrong, name) for name in _COLUMNS}, start=wrong.start, hours=24, key_id="key_nobody"
    )
    last = DAY + timedelta(days=3)

    dry = usage_recount.recount(first=DAY, last=last, is_dry=True)
    found = usage_recount.recount(first=DAY, last=last)

    assert dry == found
    assert len(found) == 3
    assert any("key_nobody" in culprit and "records of 0 and 0" in culprit for culprit in found)
    assert usage_recount.recount(first=DAY, last=last) == []
    assert differences() == []
    assert kept == list(
        UsageSum.objects.order_by("start", "hours", "key_id", "model_id", "provider_id").values_list(
            "cost_nano", "took"
        )
    )


_COLUMNS = (
    "organization_id", "model_id", "provider_id", "requests", "failed", "input_tokens", "cached_tokens",
    "cache_write_tokens", "output_tokens", "reasoning_tokens", "cost_nano", "took", "first_token",
)  # fmt: skip


def test_a_recount_leaves_other_days_alone(organization: Organization) -> None:
    settle_batch([usage(organization)])
    UsageSum.objects.update(cost_nano=1)

    assert usage_recount.recount(first=DAY - timedelta(days=2), last=DAY - timedelta(days=1)) == []
    assert set(UsageSum.objects.values_list("cost_nano", flat=True)) == {1}


def test_the_command_says_what_it_put_right(
    organization: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    settle_batch([usage(organization)])
    UsageSum.objects.filter(hours=1).update(requests=2)

    call_command("usage_recount", "--from", DAY.isoformat())

    told = capsys.readouterr().out
    assert "key_alice, gpt-4o, openai: 2 requests and 1000 nano-USD summed up, records of 1 and 1000" in told
    assert "1 sums differed and are right now." in told


def test_the_migration_counts_what_there_is(organization: Organization) -> None:
    settle_batch(drawn(organization, 5, 50))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    before = UsageSum.objects.count()

    call_command("migrate", "billing", "0010", verbosity=0)
    assert "billing_usagesum" not in connection.introspection.table_names()
    call_command("migrate", "billing", verbosity=0)

    assert UsageSum.objects.count() == before > 10
    assert differences() == []
