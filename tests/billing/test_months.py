from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from billing.months import Month, NotAMonth, between


def test_months_follow_each_other_over_the_years() -> None:
    assert list(between(Month(2025, 11), Month(2026, 2))) == [
        Month(2026, 2), Month(2026, 1), Month(2025, 12), Month(2025, 11),
    ]  # fmt: skip
    assert Month(2025, 12).next == Month(2026, 1)


def test_a_month_ends_where_the_next_begins() -> None:
    month = Month.parse("2026-12")

    assert (month.start, month.end) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert (month.code, month.name) == ("2026-12", "December 2026")


def test_a_moment_is_in_the_month_of_utc() -> None:
    there = timezone(timedelta(hours=9))

    assert Month.of(datetime(2026, 12, 1, 5, tzinfo=there)) == Month(2026, 11)


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-00", "2026-13", "2026-1", "0001-01", "2026-11-01", "２０２６-11"]
)
def test_whatever_else_is_no_month(text: str) -> None:
    with pytest.raises(NotAMonth):
        Month.parse(text)
