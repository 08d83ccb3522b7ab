"""The few numbers that tell how an organization is doing: spend and its forecast, requests, failures, latency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from accounts.models import Organization
from billing import analytics
from billing.analytics import ONE_DAY, ONE_HOUR, Group, Numbers, Ranking, Scope, Step, Stretch, Sum
from billing.months import Month

# A forecast goes on at the pace of these days, and is not made on fewer than three.
PACE_DAYS, LEAST_DAYS = 7, 3
RANKED_DAYS, MOST_RANKED = 30, 5
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Spend:
    """Spend of a day or month that still runs, in nano-USD; ``change`` is in parts of a thousand.

    Only hours that are over are compared, with the same hours of the day or month before.
    """

    nano: int
    change: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the overview shows; ``hours`` are all of today's and of the last 24, by when they begin."""

    today: Spend
    month: Spend
    month_name: str
    forecast_nano: int | None
    hours: dict[datetime, Numbers]
    last_day: Numbers
    models: Ranking

    @property
    def is_used(self) -> bool:
        """Tell whether there is anything to show."""
        return bool(self.models.total.requests or self.month.nano)


def figures(*, organization: Organization, at: datetime) -> Figures:
    """Read all of it; three queries."""
    now = at.astimezone(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    month = Month.of(now)
    earlier = month.previous
    today, today_over, yesterday, this_month, month_over, last_month, week = analytics.in_stretches(
        Scope(organization.pk),
        [
            Stretch(day, day + ONE_DAY),
            Stretch(day, hour),
            Stretch(day - ONE_DAY, hour - ONE_DAY),
            Stretch(month.start, day + ONE_DAY),
            Stretch(month.start, hour),
            # A shorter month ends before the same hour.
            Stretch(earlier.start, min(month.start, earlier.start + (hour - month.start))),
            Stretch(day - PACE_DAYS * ONE_DAY, day),
        ],
    )
    # From 24 hours ago to the end of the day: the hours of both are in it.
    hours = analytics.course(
        Scope(organization.pk), Stretch(hour + ONE_HOUR - ONE_DAY, day + ONE_DAY), Step.HOUR, timed=True
    )
    return Figures(
        today=Spend(today.numbers.cost_nano, _change(today_over, yesterday)),
        month=Spend(this_month.numbers.cost_nano, _change(month_over, last_month)),
        month_name=month.name,
        forecast_nano=forecast(
            spent_nano=this_month.numbers.cost_nano, week=week, today=day, left=month.end - now
        ),
        hours=hours,
        last_day=analytics.in_all(numbers for start, numbers in hours.items() if start > hour - ONE_DAY),
        models=analytics.ranking(
            Scope(organization.pk),
            Stretch(day - (RANKED_DAYS - 1) * ONE_DAY, day + ONE_DAY),
            by=Group.MODEL,
            limit=MOST_RANKED,
        ),
    )


def _change(present: Sum, before: Sum) -> int | None:
    """Return by how many parts of a thousand spend has changed; ``None`` without anything to compare with."""
    was = before.numbers.cost_nano
    return (present.numbers.cost_nano - was) * 1_000 // was if was else None


def forecast(*, spent_nano: int, week: Sum, today: datetime, left: timedelta) -> int | None:
    """Return what a month will have cost when ``left`` of it goes on like the last whole days.

    Days before the first with usage do not count: a new customer was not idle. ``None`` on fewer than three days.
    """
    days = (today - week.first) // ONE_DAY if week.first else 0
    if days < LEAST_DAYS:
        return None
    return spent_nano + week.numbers.cost_nano * (left // _MINUTE) // (days * (ONE_DAY // _MINUTE))
