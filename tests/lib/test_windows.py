"""Days, ISO weeks and months of budgets, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from fastanchor.lib.windows import Window, bounds, next_start, period, said

NEW_YEARS_EVE = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "names"),
    [
        (NEW_YEARS_EVE, ["20261231", "2026W53", "202612", "all"]),
        (NEW_YEAR, ["20270101", "2026W53", "202701", "all"]),
        (datetime(2027, 1, 4, tzinfo=UTC), ["20270104", "2027W01", "202701", "all"]),
        # Another zone's midnight is not ours.
        (
            datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            ["20261231", "2026W53", "202612", "all"],
        ),
    ],
)
def test_a_moment_is_in_one_period_of_each_window(at: datetime, names: list[str]) -> None:
    assert [period(window, at) for window in Window] == names


def test_a_week_is_seven_days_and_all_time_is_every_month() -> None:
    assert bounds(Window.DAY, NEW_YEAR) == (20270101, 20270101)
    assert bounds(Window.WEEK, NEW_YEAR) == bounds(Window.WEEK, NEW_YEARS_EVE) == (20261228, 20270103)
    assert bounds(Window.MONTH, NEW_YEAR) == (202701, 202701)
    first, last = bounds(Window.LIFETIME, NEW_YEAR)
    assert first < 202612 < last < 20261228


def test_the_next_period_begins_at_midnight_utc() -> None:
    assert next_start(Window.DAY, NEW_YEARS_EVE) == NEW_YEAR
    assert next_start(Window.WEEK, NEW_YEARS_EVE) == datetime(2027, 1, 4, tzinfo=UTC)
    assert next_start(Window.WEEK, datetime(2027, 1, 4, tzinfo=UTC)) == datetime(2027, 1, 11, tzinfo=UTC)
    assert next_start(Window.MONTH, NEW_YEARS_EVE) == NEW_YEAR
    assert next_start(Window.MONTH, datetime(2026, 11, 30, tzinfo=UTC)) == datetime(2026, 12, 1, tzinfo=UTC)
    assert next_start(Window.LIFETIME, NEW_YEAR) is None


def test_people_are_told_when_a_budget_starts_anew() -> None:
    assert [said(window, NEW_YEARS_EVE) for window in Window] == [
        "at 00:00 UTC",
        "on Monday, 4 January 2027 at 00:00 UTC",
        "on 1 January 2027 at 00:00 UTC",
        "",
    ]
