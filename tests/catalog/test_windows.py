"""Hours of the week, always in UTC: written once, read the same by Python and by the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given, strategies as st

from catalog.models import CatalogModel, Price, PriceTier
from catalog.prices import tier_rows
from catalog.pricing import Usage, cost_picos, dearest
from catalog.publish import build_snapshot, priced
from catalog.snapshot import Rates, Tier
from catalog.tiers import BadTiers, check_tiers
from catalog.windows import DAYS, BadWindow, minute_of_week, overlap, spans_of
from tests.catalog.builders import BuildModel, add_rates, tier

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def _minute(day: str, hours: int, minutes: int = 0) -> int:
    return (DAYS.index(day) * 24 + hours) * 60 + minutes


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("mon-fri 01:00-04:00", [("mon", 1), ("fri", 3)], [("mon", 0), ("mon", 4), ("sat", 2)]),
        ("sat-sun 00:00-24:00", [("sat", 0), ("sun", 23)], [("fri", 23), ("mon", 0)]),
        ("22:00-06:00", [("mon", 23), ("tue", 5), ("mon", 0)], [("mon", 6), ("sun", 21)]),
        ("fri 22:00-06:00", [("fri", 22), ("sat", 5)], [("fri", 5), ("sat", 22)]),
        ("sun 23:00-01:00", [("sun", 23), ("mon", 0)], [("mon", 1), ("sun", 0)]),
        ("fri-mon 10:00-00:00", [("sun", 23), ("mon", 10)], [("tue", 10), ("fri", 9)]),
    ],
)
def test_a_window_covers_its_hours_and_no_others(
    text: str, inside: list[tuple[str, int]], outside: list[tuple[str, int]]
) -> None:
    def is_open(day: str, hour: int) -> bool:
        return any(first <= _minute(day, hour) < end for first, end in spans_of(text))

    assert [is_open(*moment) for moment in inside] == [True] * len(inside)
    assert [is_open(*moment) for moment in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    "text", ["", "noon", "mon 1:00-2:00", "25:00-26:00", "01:00-01:00", "mon,tue 01:00-02:00", "24:00-01:00"]
)
def test_what_names_no_window_is_refused(text: str) -> None:
    with pytest.raises(BadWindow):
        spans_of(text)


@given(st.integers(0, 4_000_000_000))
def test_the_minute_of_the_week_is_that_of_the_calendar(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)

    assert minute_of_week(seconds + 0.5) == (moment.weekday() * 24 + moment.hour) * 60 + moment.minute


def test_windows_that_share_a_minute_overlap() -> None:
    assert overlap("mon 22:00-02:00", "tue 01:00-03:00")
    assert not overlap("mon 22:00-02:00", "tue 02:00-03:00")
    assert overlap("sun 23:00-01:00", "mon 00:00-00:30")


@pytest.mark.parametrize(
    ("tiers", "reason"),
    [
        ([Tier(0, tier(1, 1).rates, "01:00-02:00")], "at all hours"),
        ([tier(1, 1), Tier(5, tier(1, 1).rates, "01:00-02:00")], "in each of its windows"),
        (
            [tier(1, 1), *(Tier(0, tier(1, 1).rates, each) for each in ("01:00-03:00", "02:00-04:00"))],
            "overlap",
        ),
        ([tier(1, 1), Tier(0, tier(1, 1).rates, "sometimes")], "Write a window as"),
    ],
)
def test_tiers_that_make_no_price_are_refused(tiers: list[Tier], reason: str) -> None:
    with pytest.raises(BadTiers, match=reason):
        check_tiers(tiers)


def test_the_price_at_a_moment_is_that_of_the_open_window_and_can_be_found_again(
    build_model: BuildModel,
) -> None:
    model = build_model("one")
    peak = Tier(0, tier(4, 14).rates, "mon-fri 01:00-04:00")
    price = add_rates(model, tier(2, 7), Tier(100, tier(6, 9).rates), peak)

    sold = build_snapshot().models["one"]
    # A Monday that no run of this test is later than.
    at = [MONDAY + timedelta(weeks=5_000, hours=hour) for hour in (0, 1, 4)]
    found = [sold.price_at(moment.timestamp()) for moment in at]

    assert [each.id for each in found] == [price.pk] * 3
    assert [cost_picos(each, Usage(1, 0, 0, 1, 0)) for each in found] == [9, 18, 9]
    assert [dearest(each).output for each in found] == [9, 14, 9]
    # As a usage record is read years later: price id and start give the same rates.
    (again,) = (each for each in sold.prices if each.id == price.pk)
    assert [again.at(moment.timestamp()) for moment in at] == found


def test_a_price_without_windows_is_itself_at_any_moment() -> None:
    price = priced("price_1", 0, [tier(2, 7)])

    assert price.at(0) is price


def test_the_database_knows_windows_when_it_sees_them(build_model: BuildModel) -> None:
    model = build_model("one")

    with pytest.raises(IntegrityError, match="tier_during_known"), transaction.atomic():
        _save(model, [tier(1, 1), Tier(0, tier(1, 1).rates, "at night")])
    with pytest.raises(IntegrityError, match="tier_once"), transaction.atomic():
        _save(model, [tier(1, 1), *[Tier(0, tier(1, 1).rates, "01:00-02:00")] * 2])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("tiers", "reason"),
    [
        ([Tier(0, Rates(1, 1, 1, 1), "01:00-02:00")], "has no base tier"),
        ([tier(1, 1), Tier(9, Rates(1, 1, 1, 1), "01:00-02:00")], "window without a base tier"),
    ],
)
def test_the_database_refuses_a_price_with_a_gap(
    build_model: BuildModel, tiers: list[Tier], reason: str
) -> None:
    model = build_model("one")

    with pytest.raises(IntegrityError, match=reason):
        _save(model, tiers)


def _save(model: CatalogModel, tiers: list[Tier]) -> None:
    with transaction.atomic():
        price = Price(model=model, valid_from=MONDAY)
        price.save(force_insert=True)
        PriceTier.objects.bulk_create(tier_rows(price, tiers))
