"""Reading the platform's health: how often and how fast each model has answered of late.

Days are those of UTC, and the present one counts; the last 24 hours are the present hour and the 23 before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from billing.models import Health
from fastanchor.lib import windows
from fastanchor.lib.histogram import quantile

DAYS = 30
_WEEK = 7
_HOURS = 24
_PERCENT_PLACES = 100


class Standing(NamedTuple):
    """So many requests that were served and that failed."""

    served: int = 0
    failed: int = 0

    @property
    def requests(self) -> int:
        """Both together."""
        return self.served + self.failed

    @property
    def basis_points(self) -> int | None:
        """Hundredths of a percent that were served, rounded down; ``None`` without any request."""
        return self.served * 100 * _PERCENT_PLACES // self.requests if self.requests else None

    @property
    def uptime(self) -> str:
        """The share that was served: ``99.97 %``, ``100 %`` only where none failed; empty without any request."""
        if self.basis_points is None:
            return ""
        whole, places = divmod(self.basis_points, _PERCENT_PLACES)
        return f"{whole}.{places:02d} %" if self.failed else "100 %"


NOTHING = Standing()


def total(standings: Iterable[Standing]) -> Standing:
    """Add up."""
    pairs = list(standings)
    return Standing(sum(one.served for one in pairs), sum(one.failed for one in pairs))


@dataclass(frozen=True, slots=True)
class Latency:
    """How long most requests took, in milliseconds; ``None`` without any."""

    requests: int
    median_ms: int | None
    p95_ms: int | None


@dataclass(slots=True)
class ModelHealth:
    """How one model has answered: the days oldest first, the last hours, and how fast.

    ``recent`` is of the present hour and the one before; ``first_token`` is of streams, ``whole`` of whole answers.
    """

    provider_id: str
    model_id: str
    days: list[Standing] = field(default_factory=lambda: [NOTHING] * DAYS)
    day: Standing = NOTHING
    recent: Standing = NOTHING
    _first_token: Counter[int] = field(default_factory=Counter)
    _whole: Counter[int] = field(default_factory=Counter)

    @property
    def week(self) -> Standing:
        """The last 7 days."""
        return total(self.days[-_WEEK:])

    @property
    def month(self) -> Standing:
        """The last 30 days."""
        return total(self.days)

    @property
    def first_token(self) -> Latency:
        """How long streams took to their first token."""
        return _latency(self._first_token)

    @property
    def whole(self) -> Latency:
        """How long whole answers took."""
        return _latency(self._whole)

    def count_durations(self, first_token: Mapping[int, int], whole: Mapping[int, int]) -> None:
        """Add counts by bucket."""
        self._first_token.update(first_token)
        self._whole.update(whole)


def _latency(counts: Counter[int]) -> Latency:
    return Latency(counts.total(), quantile(counts, percent=50), quantile(counts, percent=95))


def of_all(*, at: datetime) -> list[ModelHealth]:
    """Return every model that had a request within 30 days, by provider and id; durations are of the last 24 hours."""
    found: dict[tuple[str, str], ModelHealth] = {}
    first, last = _first_day(at), _hour_number(at)
    days = Health.objects.filter(period__range=(first, last // 100))
    for provider, model, period, served, failed in days.values_list(
        "provider_id", "model_id", "period", "served", "failed"
    ):
        health = found.setdefault((provider, model), ModelHealth(provider, model))
        health.days[_place(period, at)] = Standing(served, failed)
    hours = Health.objects.filter(period__range=(_hour_number(at - timedelta(hours=_HOURS - 1)), last))
    for row in hours:
        health = found.setdefault((row.provider_id, row.model_id), ModelHealth(row.provider_id, row.model_id))
        _count_hour(health, row, at)
        health.count_durations(row.first_token, row.whole)
    return [found[key] for key in sorted(found)]


def of_model(model_id: str, *, at: datetime) -> ModelHealth:
    """Return how one model has answered, whoever served it; durations are of the last 30 days."""
    found = ModelHealth("", model_id)
    first, last = _first_day(at), _hour_number(at)
    for row in Health.objects.filter(model_id=model_id, period__range=(first, last // 100)):
        place = _place(row.period, at)
        found.days[place] = total([found.days[place], Standing(row.served, row.failed)])
        found.count_durations(row.first_token, row.whole)
    hours = (_hour_number(at - timedelta(hours=_HOURS - 1)), last)
    for row in Health.objects.filter(model_id=model_id, period__range=hours).defer("first_token", "whole"):
        _count_hour(found, row, at)
    return found


def _count_hour(health: ModelHealth, row: Health, at: datetime) -> None:
    standing = Standing(row.served, row.failed)
    health.day = total([health.day, standing])
    if row.period >= _hour_number(at - timedelta(hours=1)):
        health.recent = total([health.recent, standing])


def _first_day(at: datetime) -> int:
    """Return the number of the oldest of the last 30 days."""
    return windows.day_number(at.astimezone(UTC) - timedelta(days=DAYS - 1))


def _place(period: int, at: datetime) -> int:
    day = datetime(period // 10_000, period // 100 % 100, period % 100, tzinfo=UTC).date()
    return DAYS - 1 - (at.astimezone(UTC).date() - day).days


def _hour_number(at: datetime) -> int:
    utc = at.astimezone(UTC)
    return windows.day_number(utc) * 100 + utc.hour
