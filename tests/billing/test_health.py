"""The platform's health is counted exactly once, and what is told of it is what the records say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import Organization
from billing import health, health_reading, partitions
from billing.health_reading import Standing
from billing.models import Health, UsageRecord
from billing.settlement import settle_batch
from billing.spool import Usage
from billing.tasks import forget_old_health
from fastanchor.lib.histogram import bucket_of, edge
from tests.billing.cast import STARTED_AT_MS, failed, make_organization, usage

pytestmark = pytest.mark.django_db

# 2026-11-18 11:06:40 UTC.
AT = datetime.fromtimestamp(STARTED_AT_MS / 1_000, UTC)
HOUR, DAY = 2026111811, 20261118
HOUR_MS = 3_600_000


def _kept() -> list[tuple[int, str, int, int]]:
    return list(
        Health.objects.order_by("period", "model_id").values_list("period", "model_id", "served", "failed")
    )


def test_a_request_counts_in_its_hour_and_its_day_over_all_organizations(organization: Organization) -> None:
    other = make_organization("bob@example.org")
    settle_batch([usage(organization), usage(other), failed(other)])
    settle_batch([usage(other, started_at_ms=STARTED_AT_MS + HOUR_MS)])

    assert _kept() == [(DAY, "gpt-4o", 3, 1), (HOUR, "gpt-4o", 2, 1), (HOUR + 1, "gpt-4o", 1, 0)]


def test_what_went_over_a_caller_s_own_key_says_nothing_of_us(organization: Organization) -> None:
    own = {"is_own_key": True, "cost_picos": 0, "cost_nano": 0}
    settle_batch([usage(organization, **own), failed(organization, is_own_key=True)])

    assert _kept() == []
    health.rebuild(first=AT.date(), last=AT.date())
    assert _kept() == []


@pytest.mark.parametrize(
    ("changes", "served", "has_failed"),
    [
        ({}, 1, 0),
        ({"outcome": "cut"}, 1, 0),
        ({"outcome": "client_left"}, 1, 0),
        ({"outcome": "upstream_died"}, 0, 1),
        ({"outcome": "interrupted", "status": 0}, 0, 1),
        ({"outcome": "failed", "status": 500, "cost_nano": 0}, 0, 1),
        ({"outcome": "failed", "status": 503, "cost_nano": 0}, 0, 1),
        ({"outcome": "free", "status": 200, "cost_nano": 0, "error_code": "service_unavailable"}, 0, 1),
        # The caller's own mistake, and one who left before there was an answer.
        ({"outcome": "failed", "status": 400, "cost_nano": 0}, 0, 0),
        ({"outcome": "client_left", "status": 499, "cost_nano": 0}, 0, 0),
    ],
)
def test_only_what_we_or_an_upstream_got_wrong_is_a_failure(
    organization: Organization, changes: dict[str, Any], served: int, has_failed: int
) -> None:
    settle_batch([usage(organization, **changes)])

    assert [row[2:] for row in _kept()] == ([(served, has_failed)] * 2 if served + has_failed else [])


def test_batches_that_come_again_count_once(organization: Organization) -> None:
    batch = [usage(organization), failed(organization)]
    settle_batch(batch)
    before = list(Health.objects.order_by("pk").values())

    settle_batch(batch)
    settle_batch([*batch, *batch])

    assert list(Health.objects.order_by("pk").values()) == before
    assert [row[2:] for row in _kept()] == [(1, 1), (1, 1)]


def test_a_batch_that_cannot_be_stored_counts_nothing(lasting_organization: Organization) -> None:
    with pytest.raises(Exception, match="usage_free_costs_nothing"):
        settle_batch([usage(lasting_organization), failed(lasting_organization, cost_nano=5)])

    assert not Health.objects.exists()


def test_shippers_at_once_lose_nothing_and_do_not_lock_each_other_out(
    lasting_organization: Organization,
) -> None:
    others = [make_organization(f"{number}@example.org") for number in range(3)]
    models = [f"model-{number}" for number in range(8)]
    batches = [
        [usage(owner, model_id=name) for name in random.Random(number).sample(models, len(models))]
        for number, owner in enumerate([lasting_organization, *others] * 3)
    ]

    def settle(batch: Sequence[Usage]) -> None:
        settle_batch(batch)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(settle, [*batches, *batches]))

    assert _kept() == [(period, name, 12, 0) for period in (DAY, HOUR) for name in models]


def test_durations_are_kept_apart_for_streams_and_whole_answers(organization: Organization) -> None:
    settle_batch([usage(organization, first_token_ms=300), usage(organization, first_token_ms=3_000)])
    settle_batch([usage(organization, is_stream=False, first_token_ms=-1)])
    settle_batch([failed(organization), usage(organization, first_token_ms=-1, outcome="free", cost_nano=0)])

    [told] = health_reading.of_all(at=AT)

    assert (told.first_token.requests, told.whole.requests) == (2, 1)
    assert told.first_token.median_ms == edge(bucket_of(300))
    assert told.first_token.p95_ms == edge(bucket_of(3_000))
    assert told.whole.median_ms == told.whole.p95_ms == edge(bucket_of(900))


def _month(organization: Organization, *, seed: int) -> list[Usage]:
    """Return a month of requests, good and bad, drawn by a seed."""
    draw = random.Random(seed)
    return [
        draw.choice((usage, usage, failed))(
            organization,
            model_id=draw.choice(("gpt-4o", "gpt-4.1")),
            started_at_ms=STARTED_AT_MS - draw.randrange(40 * 24) * HOUR_MS,
        )
        for _ in range(300)
    ]


def test_what_is_told_of_24_hours_7_and_30_days_is_what_the_records_say(
    organization: Organization, seed: int
) -> None:
    requests = _month(organization, seed=seed)
    settle_batch(requests[:150])
    settle_batch(requests[100:])

    for told in health_reading.of_all(at=AT):
        mine = [one for one in requests if one.model_id == told.model_id]
        assert told.day == _expected(mine, AT - timedelta(hours=23), is_hour=True)
        assert told.week == _expected(mine, AT - timedelta(days=6))
        assert told.month == _expected(mine, AT - timedelta(days=29))
        alone = health_reading.of_model(told.model_id, at=AT)
        assert (alone.days, alone.day, alone.recent) == (told.days, told.day, told.recent)


def _expected(requests: Sequence[Usage], first: datetime, *, is_hour: bool = False) -> Standing:
    start = first.replace(minute=0, second=0, microsecond=0)
    start = start if is_hour else start.replace(hour=0)
    within = [one for one in requests if one.started_at_ms >= start.timestamp() * 1_000]
    good = sum(one.outcome == "completed" for one in within)
    return Standing(good, len(within) - good)


def test_of_nothing_no_uptime_is_told_and_a_failure_is_never_rounded_away() -> None:
    assert Standing().uptime == ""
    assert Standing(5, 0).uptime == "100 %"
    assert Standing(999_999, 1).uptime == "99.99 %"
    assert Standing(0, 3).uptime == "0.00 %"


def test_counting_anew_changes_nothing_and_mends_what_was_wrong(organization: Organization) -> None:
    settle_batch(_month(organization, seed=7))
    right = _facts()

    call_command("health_rebuild", "--first=2026-10-01", "--last=2026-11-30")
    again = _facts()
    Health.objects.filter(period__gte=20261110).update(served=99, first_token={0: 1})
    Health.objects.filter(period=DAY).delete()
    call_command("health_rebuild", "--first=2026-10-01", "--last=2026-11-30")

    assert again == right == _facts()


def _facts() -> list[tuple[Any, ...]]:
    names = ("period", "provider_id", "model_id", "served", "failed", "first_token", "whole")
    return list(Health.objects.order_by(*names[:3]).values_list(*names))


def test_days_that_are_not_named_are_left_as_they_are(organization: Organization) -> None:
    settle_batch([usage(organization), usage(organization, started_at_ms=STARTED_AT_MS - 24 * HOUR_MS)])
    Health.objects.update(served=7)

    counted = health.rebuild(first=date(2026, 11, 18), last=date(2026, 11, 18))

    assert counted == 1
    assert [row[2] for row in _kept()] == [7, 1, 7, 1]
    with pytest.raises(CommandError):
        call_command("health_rebuild", "--first=2026-11-19", "--last=2026-11-18")


def test_what_is_older_than_400_days_is_forgotten_and_nothing_else(organization: Organization) -> None:
    partitions.prepare()
    now = datetime.now(UTC)
    for days in (0, 399, 402):
        at_ms = int((now - timedelta(days=days)).timestamp() * 1_000)
        settle_batch([usage(organization, started_at_ms=at_ms)])

    forget_old_health()

    assert Health.objects.count() == 4
    assert UsageRecord.objects.count() == 3
