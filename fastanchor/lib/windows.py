"""The windows of budgets: a day, an ISO week, a month, or all time. A window's present stretch is its *period* (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Window(StrEnum):
    """How often a budget starts anew."""

    DAY = "day"
    """At 00:00 UTC."""
    WEEK = "week"
    """On Monday at 00:00 UTC, as ISO 8601 counts weeks."""
    MONTH = "month"
    """On the first day of the month at 00:00 UTC."""
    LIFETIME = "lifetime"
    """Never."""

    @property
    def adjective(self) -> str:
        """The window as it stands before a noun."""
        return _ADJECTIVES[self]


_ADJECTIVES = {
    Window.DAY: "daily",
    Window.WEEK: "weekly",
    Window.MONTH: "monthly",
    Window.LIFETIME: "lifetime",
}
_ALL_TIME = "all"
# Months are numbers of six digits and days of eight, so that all months are below this and all days above.
FIRST_DAY = 1_000_000


def period(window: Window, at: datetime) -> str:
    """Return the name of the period that a moment is in: ``20261130``, ``2026W49``, ``202611`` or ``all``."""
    utc = at.astimezone(UTC)
    if window is Window.DAY:
        return f"{utc:%Y%m%d}"
    if window is Window.WEEK:
        return f"{utc:%GW%V}"
    return f"{utc:%Y%m}" if window is Window.MONTH else _ALL_TIME


def bounds(window: Window, at: datetime) -> tuple[int, int]:
    """Return the first and the last number of what adds up to a period: days, one month, or all months."""
    utc = at.astimezone(UTC)
    if window is Window.DAY:
        return (day_number(utc), day_number(utc))
    if window is Window.WEEK:
        monday = utc - timedelta(days=utc.weekday())
        return (day_number(monday), day_number(monday + timedelta(days=6)))
    return (month_number(utc), month_number(utc)) if window is Window.MONTH else (0, FIRST_DAY - 1)


def day_number(at: datetime) -> int:
    """Return the number of a day: 20261130."""
    return month_number(at) * 100 + at.day


def month_number(at: datetime) -> int:
    """Return the number of a month: 202611."""
    return at.year * 100 + at.month


def next_start(window: Window, at: datetime) -> datetime | None:
    """Return when the next period begins; ``None`` where there is none."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if window is Window.DAY:
        return midnight + timedelta(days=1)
    if window is Window.WEEK:
        return midnight + timedelta(days=7 - midnight.weekday())
    if window is Window.MONTH:
        return midnight.replace(
            year=midnight.year + midnight.month // 12, month=midnight.month % 12 + 1, day=1
        )
    return None


def said(window: Window, at: datetime) -> str:
    """Say when a budget starts anew: ``at 00:00 UTC``, ``on Monday, 7 December 2026, at 00:00 UTC``; empty for never."""
    start = next_start(window, at)
    if start is None:
        return ""
    if window is Window.DAY:
        return "at 00:00 UTC"
    weekday = f"{start:%A}, " if window is Window.WEEK else ""
    return f"on {weekday}{start.day} {start:%B %Y} at 00:00 UTC"
