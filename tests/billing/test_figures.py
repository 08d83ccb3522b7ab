"""The overview's numbers: what is compared with what, and when a forecast is made."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import Organization
from billing import analytics
from billing.analytics import ONE_DAY, ONE_HOUR, Numbers, Scope, Stretch, Sum
from billing.figures import figures, forecast
from billing.settlement import settle_batch
from tests.billing.cast import make_organization, usage

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 14, 45, tzinfo=UTC)
DAY = datetime(2026, 11, 20, tzinfo=UTC)


def spend(organization: Organization, *parts: tuple[datetime, int]) -> None:
    settle_batch(
        [
            usage(
                organization,
                started_at_ms=int(at.timestamp() * 1_000),
                cost_nano=cost,
                cost_picos=cost * 1_000,
            )
            for at, cost in parts
        ]
    )


def test_today_is_compared_with_the_hours_of_yesterday_that_are_over_today(
    organization: Organization,
) -> None:
    spend(
        organization,
        (DAY + 13 * ONE_HOUR, 3_000),
        (NOW - timedelta(minutes=1), 500),
        (DAY - ONE_DAY + 13 * ONE_HOUR, 2_000),
        (DAY - ONE_DAY + 14 * ONE_HOUR, 9_000),
    )

    today = figures(organization=organization, at=NOW).today

    assert (today.nano, today.change) == (3_500, 500)


def test_a_month_is_compared_with_the_same_days_and_hours_of_the_last(organization: Organization) -> None:
    last = datetime(2026, 10, 20, tzinfo=UTC)
    spend(
        organization,
        (datetime(2026, 11, 1, tzinfo=UTC), 1_000),
        (NOW, 7_000),
        (datetime(2026, 10, 1, tzinfo=UTC), 1_000),
        (last + 13 * ONE_HOUR, 3_000),
        (last + 14 * ONE_HOUR, 50_000),
    )

    month = figures(organization=organization, at=NOW).month

    assert (month.nano, month.change) == (8_000, -750)


def test_the_last_days_of_a_long_month_are_compared_with_all_of_a_short_one(
    organization: Organization,
) -> None:
    end = datetime(2026, 3, 31, 12, tzinfo=UTC)
    spend(
        organization,
        (end - ONE_DAY, 200),
        (datetime(2026, 2, 28, 23, tzinfo=UTC), 100),
        (end - 30 * ONE_DAY, 0),
    )

    assert figures(organization=organization, at=end).month.change == 1_000


def test_without_anything_before_there_is_no_change(organization: Organization) -> None:
    spend(organization, (DAY, 5))

    found = figures(organization=organization, at=NOW)

    assert (found.today.change, found.month.change, found.forecast_nano) == (None, None, None)
    assert found.is_used
    assert not figures(organization=make_organization("bob@example.org"), at=NOW).is_used


def test_a_forecast_goes_on_at_the_pace_of_the_last_whole_days(organization: Organization) -> None:
    spend(organization, *((DAY - back * ONE_DAY + ONE_HOUR, 700) for back in range(1, 8)), (DAY, 100))

    found = figures(organization=organization, at=DAY + 12 * ONE_HOUR)

    # 10 days and a half of November are left.
    assert found.month.nano == 5_000
    assert found.forecast_nano == 5_000 + 700 * 21 // 2


@pytest.mark.parametrize(
    ("first_back", "forecasted"), [(None, None), (1, None), (2, None), (3, 900 // 3 * 2), (7, 900 * 2 // 7)]
)
def test_a_forecast_needs_three_days_and_leaves_out_those_before_the_first(
    first_back: int | None, forecasted: int | None
) -> None:
    week = Sum(Numbers(cost_nano=900), DAY - first_back * ONE_DAY if first_back else None)

    assert forecast(spent_nano=0, week=week, today=DAY, left=2 * ONE_DAY) == forecasted


def test_the_last_day_has_latencies_and_only_its_own_hours(organization: Organization) -> None:
    settle_batch(
        [
            usage(
                organization,
                started_at_ms=int(at.timestamp() * 1_000),
                finished_at_ms=int(at.timestamp() * 1_000) + ms,
            )
            for at, ms in ((NOW, 1_000), (NOW - 23 * ONE_HOUR, 2_000), (NOW - 24 * ONE_HOUR, 60_000))
        ]
    )

    last_day = figures(organization=organization, at=NOW).last_day

    assert last_day.requests == 2
    assert last_day.median_ms is not None
    assert last_day.p95_ms is not None
    assert 1_000 <= last_day.median_ms <= 1_250
    assert 2_000 <= last_day.p95_ms <= 2_500


def test_all_of_it_takes_three_queries(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    spend(organization, (DAY, 5))

    with django_assert_num_queries(3):
        figures(organization=organization, at=NOW)


def test_any_stretch_of_hours_is_the_sum_of_its_requests(organization: Organization, seed: int) -> None:
    draw = random.Random(seed)
    parts = [(DAY + draw.random() * 5 * ONE_DAY, draw.randrange(10**6)) for _ in range(150)]
    spend(organization, *parts)
    spend(make_organization("bob@example.org"), (DAY + ONE_DAY, 10**9))
    starts = [DAY + draw.randrange(120) * ONE_HOUR for _ in range(40)]
    stretches = [Stretch(start, start + draw.randrange(80) * ONE_HOUR) for start in starts]
    stretches += [Stretch(DAY, DAY), Stretch(DAY, DAY + 5 * ONE_DAY)]

    found = analytics.in_stretches(Scope(organization.pk), stretches)

    assert [each.numbers.cost_nano for each in found] == [
        sum(cost for at, cost in parts if stretch.start <= at < stretch.end) for stretch in stretches
    ]
