"""What a customer used in thirty days: a chart, the same as a table, and the models of it; from the sums by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from accounts.models import Organization
from billing import analytics
from billing.analytics import ONE_DAY, Group, Numbers, Scope, Step, Stretch
from fastanchor.lib.charts import Bar, bar_chart
from fastanchor.lib.money import short_usd

DAYS, MOST_MODELS = 30, 10


@dataclass(frozen=True, slots=True)
class Line:
    """A day, or a model, and what it came to."""

    name: str
    requests: int
    failed: int
    tokens: int
    spend: str


@dataclass(frozen=True, slots=True)
class Used:
    """Thirty days."""

    chart: SafeString
    days: list[Line]
    models: list[Line]
    total: Line


def used(organization: Organization, at: datetime) -> Used:
    """Return the last thirty days with today; two queries."""
    today = analytics.day_of(at)
    stretch = Stretch(today - (DAYS - 1) * ONE_DAY, today + ONE_DAY)
    scope = Scope(organization.pk)
    course = analytics.course(scope, stretch, Step.DAY)
    ranked = analytics.ranking(scope, stretch, by=Group.MODEL, limit=MOST_MODELS)
    days = [stretch.start + number * ONE_DAY for number in range(DAYS)]
    found = [(day, course.get(day, Numbers())) for day in days]
    bars = [
        Bar(f"{day:%d %b}: {short_usd(of.cost_nano)}, {of.requests:,} requests", of.cost_nano)
        for day, of in found
    ]
    return Used(
        chart=bar_chart(bars, name=f"Spend by day, last {DAYS} days (UTC)"),
        days=[_line(f"{day:%Y-%m-%d}", of) for day, of in reversed(found)],
        models=[_line(name, of) for name, of in ranked.groups],
        total=_line("All", ranked.total),
    )


def _line(name: str, of: Numbers) -> Line:
    return Line(name, of.requests, of.failed, of.tokens, short_usd(of.cost_nano))
