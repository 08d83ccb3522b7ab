"""Reading the sums of usage: what an organization used in stretches of time, in all, by group, and step by step.

Every query is bounded by an organization and a stretch of whole hours; whole days are read from the days' sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from django.db import connection

from fastanchor.lib.histogram import EDGES, quantile

ONE_HOUR, ONE_DAY = timedelta(hours=1), timedelta(days=1)


class Group(StrEnum):
    """By what usage is summed up: the column of its name."""

    MODEL = "model_id"
    """The model that was asked for."""
    KEY = "key_id"
    """The API key."""
    MEMBER = "member"
    """The member who made the key."""
    PROVIDER = "provider_id"
    """The provider that served."""


class Step(StrEnum):
    """How long each stretch of a course is: the word of it for ``date_trunc``."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What requests came to; money in nano-USD, durations counted by bucket."""

    requests: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano: int = 0
    took: Mapping[int, int] = field(default_factory=dict)
    first_token: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """Read the columns of ``_SUMS``, and those of ``_TIMES`` where they follow."""
        counts = dict(zip(_COLUMNS, map(int, row[:_WIDTH]), strict=True))
        took, first_token = row[_WIDTH:] or ((), ())
        return cls(**counts, took=_counted(took), first_token=_counted(first_token))

    def with_added(self, other: Numbers, sign: int = 1) -> Numbers:
        """Return both together; with a ``sign`` of -1, what is left when a part is taken away."""
        counts = {name: getattr(self, name) + sign * getattr(other, name) for name in _COLUMNS}
        return Numbers(
            **counts,
            took=_together(self.took, other.took, sign),
            first_token=_together(self.first_token, other.first_token, sign),
        )

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def failed_per_mille(self) -> int:
        """How many of a thousand requests failed, rounded up: what is not zero is never shown as zero."""
        return -(-self.failed * 1_000 // self.requests) if self.requests else 0

    @property
    def median_ms(self) -> int | None:
        """How long half of the answers took at most."""
        return quantile(self.took, percent=50)

    @property
    def p95_ms(self) -> int | None:
        """How long 95 of a hundred answers took at most."""
        return quantile(self.took, percent=95)

    @property
    def first_token_ms(self) -> int | None:
        """How long half of the streams took at most to their first token."""
        return quantile(self.first_token, percent=50)

    @property
    def first_token_p95_ms(self) -> int | None:
        """How long 95 of a hundred streams took at most to their first token."""
        return quantile(self.first_token, percent=95)


def _counted(counts: Sequence[int]) -> dict[int, int]:
    return {bucket: int(count) for bucket, count in enumerate(counts) if count}


def _together(one: Mapping[int, int], other: Mapping[int, int], sign: int) -> dict[int, int]:
    return {bucket: one.get(bucket, 0) + sign * other.get(bucket, 0) for bucket in {*one, *other}}


_COLUMNS = (
    "requests", "failed", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "cost_nano",
)  # fmt: skip
_WIDTH = len(_COLUMNS)
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _COLUMNS)
# One sum for each bucket: far quicker than taking the arrays apart, row by row.
_TIMES = ", ".join(
    f"ARRAY[{', '.join(f'coalesce(sum({name}[{number}]), 0)' for number in range(1, len(EDGES) + 1))}]"
    for name in ("took", "first_token")
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose usage is read, and of which of its keys and models; empty means all."""

    organization_id: str
    key_id: str = ""
    model_id: str = ""

    def condition(self) -> str:
        """Return the condition on rows of the sums, with the names of ``named``."""
        narrower = {"key_id": self.key_id, "model_id": self.model_id}
        return " AND ".join(
            [
                "organization_id = %(organization_id)s",
                *(f"{n} = %({n})s" for n, value in narrower.items() if value),
            ]
        )

    def named(self) -> dict[str, Any]:
        """Return what stands for the names of ``condition``."""
        return {"organization_id": self.organization_id, "key_id": self.key_id, "model_id": self.model_id}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of whole hours, from ``start`` to before ``end``."""

    start: datetime
    end: datetime

    @property
    def days(self) -> tuple[datetime, datetime]:
        """The whole days in it: from where to where; two times the end when it holds none."""
        first, last = _ceiling(self.start), _floor(self.end)
        return (first, last) if first < last else (self.end, self.end)


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _ceiling(moment: datetime) -> datetime:
    floor = _floor(moment)
    return floor if floor == moment else floor + ONE_DAY


@dataclass(frozen=True, slots=True)
class Sum:
    """What was used in a stretch, and when the first day or hour with any usage in it began."""

    numbers: Numbers
    first: datetime | None


def in_stretches(scope: Scope, stretches: Sequence[Stretch]) -> list[Sum]:
    """Return what was used in each stretch, without durations; one query for all of them."""
    parts = "start, " + ", ".join(_COLUMNS)
    of_rows = f"SELECT {parts} FROM billing_usagesum WHERE {scope.condition()}"  # noqa: S608 - the parts are columns
    days = [stretch.days for stretch in stretches]
    named = scope.named() | {
        "starts": [stretch.start for stretch in stretches],
        "ends": [stretch.end for stretch in stretches],
        "firsts": [first for first, _ in days],
        "lasts": [last for _, last in days],
    }
    rows = _rows(
        f"""
        SELECT {_SUMS}, min(start)
        FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[], %(firsts)s::timestamptz[],
                    %(lasts)s::timestamptz[]) WITH ORDINALITY AS asked (start_at, end_at, first_day, last_day, place)
        LEFT JOIN LATERAL ({of_rows} AND hours = 24 AND start >= first_day AND start < last_day
            UNION ALL {of_rows} AND hours = 1 AND start >= start_at AND start < first_day
            UNION ALL {of_rows} AND hours = 1 AND start >= last_day AND start < end_at) AS found ON true
        GROUP BY place ORDER BY place
        """,  # noqa: S608 - the parts are columns
        named,
    )
    return [Sum(Numbers.of(row[:_WIDTH]), row[_WIDTH]) for row in rows]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The groups that are first by a measure, what all came to, and how many groups there are."""

    groups: list[tuple[str, Numbers]]
    total: Numbers
    count: int

    @property
    def other(self) -> Numbers:
        """What the groups came to that are not named."""
        rest = self.total
        for _, numbers in self.groups:
            rest = rest.with_added(numbers, -1)
        return rest


_RANKED_BY = {
    "spend": "sum(cost_nano)",
    "requests": "sum(requests)",
    "tokens": "sum(input_tokens + output_tokens)",
    "errors": "sum(failed)",
    "latency": "sum(requests)",
}
_DAYS = "hours = 24 AND start >= %(start)s AND start < %(end)s"


def ranking(
    scope: Scope, stretch: Stretch, *, by: Group, measure: str = "spend", limit: int = 50, timed: bool = False
) -> Ranking:
    """Return the first groups in a stretch of whole days; durations are read only when ``timed``."""
    columns = f"{_SUMS}, {_TIMES}" if timed else _SUMS
    rows = _rows(
        f"""
        SELECT {by}, count(*) OVER () - 1, {columns} FROM billing_usagesum WHERE {scope.condition()} AND {_DAYS}
        GROUP BY GROUPING SETS (({by}), ())
        ORDER BY grouping({by}) DESC, {_RANKED_BY[measure]} DESC, sum(requests) DESC, {by} LIMIT %(limit)s
        """,  # noqa: S608 - the parts are columns
        _bounds(scope, stretch) | {"limit": limit + 1},
    )
    groups = [(row[0], Numbers.of(row[2:])) for row in rows[1:]]
    return Ranking(groups, Numbers.of(rows[0][2:]), rows[0][1])


def course(scope: Scope, stretch: Stretch, step: Step, *, timed: bool = False) -> dict[datetime, Numbers]:
    """Return what was used in each step of a stretch, by when the step begins; steps without usage are left out."""
    columns = f"{_SUMS}, {_TIMES}" if timed else _SUMS
    rows = _rows(
        f"""
        SELECT date_trunc(%(step)s, start, 'UTC'), {columns}
        FROM billing_usagesum WHERE {scope.condition()} AND {_of_step(step)} GROUP BY 1
        """,  # noqa: S608 - the parts are columns
        _bounds(scope, stretch) | {"step": step.value},
    )
    return {row[0]: Numbers.of(row[1:]) for row in rows}


def courses(
    scope: Scope, stretch: Stretch, step: Step, *, by: Group, names: Sequence[str]
) -> dict[tuple[datetime, str | None], Numbers]:
    """Return the same for each of the named groups, and under ``None`` for all others together."""
    rows = _rows(
        f"""
        SELECT date_trunc(%(step)s, start, 'UTC'), CASE WHEN {by} = ANY(%(names)s) THEN {by} END, {_SUMS}
        FROM billing_usagesum WHERE {scope.condition()} AND {_of_step(step)} GROUP BY 1, 2
        """,  # noqa: S608 - the parts are columns
        _bounds(scope, stretch) | {"step": step.value, "names": list(names)},
    )
    return {(row[0], row[1]): Numbers.of(row[2:]) for row in rows}


def models_used(organization_id: str, stretch: Stretch, *, limit: int = 200) -> list[str]:
    """Return the models that were used in a stretch of whole days."""
    scope = Scope(organization_id)
    rows = _rows(
        f"SELECT DISTINCT model_id FROM billing_usagesum WHERE {scope.condition()} AND {_DAYS} ORDER BY 1 LIMIT %(limit)s",  # noqa: S608 - the parts are columns
        _bounds(scope, stretch) | {"limit": limit},
    )
    return [row[0] for row in rows]


def _of_step(step: Step) -> str:
    hours = 1 if step is Step.HOUR else 24
    return f"hours = {hours} AND start >= %(start)s AND start < %(end)s"


def _bounds(scope: Scope, stretch: Stretch) -> dict[str, Any]:
    return scope.named() | {"start": stretch.start, "end": stretch.end}


def _rows(query: str, named: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, named)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
