"""Usage as pages read it: by day (UTC), newest first, and only one's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import Organization
from billing import analytics, usage as usages
from billing.analytics import Scope, Step, Stretch
from billing.settlement import settle_batch
from tests.billing.cast import make_organization, usage

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 11, 20, tzinfo=UTC)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def test_a_day_is_summed_by_hour_in_utc(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    late = DAY + timedelta(hours=23, minutes=59, seconds=59)
    others = [DAY - timedelta(milliseconds=1), DAY + timedelta(days=1)]
    settle_batch(
        [
            usage(organization, started_at_ms=ms(DAY)),
            usage(organization, started_at_ms=ms(late)),
            usage(organization, started_at_ms=ms(late), outcome="free", cost_nano=0, cost_picos=0),
            usage(make_organization("bob@example.org"), started_at_ms=ms(DAY)),
            *(usage(organization, started_at_ms=ms(at)) for at in others),
        ]
    )

    # The same moment, told by a clock in Tokyo, where it is already the next day.
    at = late.astimezone(timezone(timedelta(hours=9)))
    with django_assert_num_queries(1):
        stretch = Stretch(DAY - timedelta(days=1), DAY + timedelta(days=2))
        found = analytics.course(Scope(organization.pk), stretch, Step.HOUR)
    day = usages.day_of(found, at)

    assert (day.requests, day.input_tokens, day.output_tokens, day.cost_nano) == (3, 600, 150, 2_000)
    assert len(day.hours) == 24
    assert day.hours[0] == usages.Hour(1, 200, 50, 1_000)
    assert day.hours[23] == usages.Hour(2, 400, 100, 1_000)
    assert day.hours[23].tokens == 500
    assert day.hours[12] == usages.Hour()


@pytest.fixture
def five(organization: Organization) -> list[str]:
    """The ids of five requests, newest first; the second and the third started together."""
    starts = [4, 3, 3, 2, 1]
    ids = [f"req_{letter}" for letter in "eabcd"]
    settle_batch(
        [
            usage(organization, request_id=request_id, started_at_ms=ms(DAY) + start)
            for request_id, start in zip(ids, starts, strict=True)
        ]
    )
    return ids


def test_recent_requests_come_newest_first(organization: Organization, five: list[str]) -> None:
    settle_batch([usage(make_organization("bob@example.org"))])

    assert [one.request_id for one in usages.recent(organization=organization, limit=9)] == five
    assert [one.request_id for one in usages.recent(organization=organization, limit=2)] == five[:2]


@pytest.mark.parametrize("place", range(5))
def test_pages_neither_repeat_nor_skip(organization: Organization, five: list[str], place: int) -> None:
    older = usages.recent(organization=organization, limit=9, before=five[place])
    newer = usages.recent(organization=organization, limit=9, after=five[place])

    assert [one.request_id for one in older] == five[place + 1 :]
    assert [one.request_id for one in newer] == five[:place]


def test_a_limit_is_bounded(
    organization: Organization, five: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usages, "MAX_ROWS", 3)

    assert len(usages.recent(organization=organization, limit=10**9)) == 3
    assert usages.recent(organization=organization, limit=-1) == []


def test_a_request_of_another_organization_is_unknown(organization: Organization, five: list[str]) -> None:
    bob = make_organization("bob@example.org")

    assert usages.find(organization=organization, request_id=five[0]).request_id == five[0]
    for call in (
        lambda: usages.find(organization=bob, request_id=five[0]),
        lambda: usages.recent(organization=bob, limit=1, before=five[0]),
        lambda: usages.recent(organization=bob, limit=1, after="req_never"),
    ):
        with pytest.raises(usages.UnknownRequest):
            call()
