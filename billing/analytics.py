"""Reading the sums of usage: what an organization used in stretches of time, in all, by group, and step by step.

Every query is bounded by an organization and a stretch of whole hours; whole days are read from the days' sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from django.db import connection

from fastanchor.lib.histogram import quantile, unpacked

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
        took, first_token = row[_WIDTH:] or ("", "")
        return cls(**counts, took=unpacked(took), first_token=unpacked(first_token))

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


def in_all(parts: Iterable[Numbers]) -> Numbers:
    """Return all of them together."""
    counts = dict.fromkeys(_COLUMNS, 0)
    took: Counter[int] = Counter()
    first_token: Counter[int] = Counter()
    for part in parts:
        for name in _COLUMNS:
            counts[name] += getattr(part, name)
        took.update(part.took)
        first_token.update(part.first_token)
    return Numbers(**counts, took=took, first_token=first_token)


def _together(one: Mapping[int, int], other: Mapping[int, int], sign: int) -> dict[int, int]:
    return {bucket: one.get(bucket, 0) + sign * other.get(bucket, 0) for bucket in {*one, *other}}


_COLUMNS = (
    "requests", "failed", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "cost_nano",
)  # fmt: skip
_WIDTH = len(_COLUMNS)
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _COLUMNS)
_NAMED_SUMS = ", ".join(f"sum({name}) AS {name}" for name in _COLUMNS)
_TIMES = "sum(took)::text, sum(first_token)::text"


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
        first, last = _ceiling(self.start), day_of(self.end)
        return (first, last) if first < last else (self.end, self.end)


def day_of(moment: datetime) -> datetime:
    """Return when the day of a moment began (UTC)."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _ceiling(moment: datetime) -> datetime:
    floor = day_of(moment)
    return floor if floor == moment else floor + ONE_DAY


@dataclass(frozen=True, slots=True)
class Sum:
    """What was used in a stretch, and when the first day or hour with any usage in it began."""

    numbers: Numbers
    first: datetime | None


def in_stretches(scope: Scope, stretches: Sequence[Stretch]) -> list[Sum]:
    """Return what was used in each stretch, without durations; one query for all of them.

    Every day and hour is summed up once, however many stretches it is in.
    """
    days = [stretch.days for stretch in stretches]
    edges = [
        edge
        for stretch, (first, last) in zip(stretches, days, strict=True)
        for edge in ((stretch.start, first), (last, stretch.end))
    ]
    spans = [(24, *span) for span in _united(days)] + [(1, *span) for span in _united(edges)]
    named = scope.named() | {
        "hours": [hours for hours, _, _ in spans],
        "froms": [start for _, start, _ in spans],
        "tos": [end for _, _, end in spans],
        "starts": [stretch.start for stretch in stretches],
        "ends": [stretch.end for stretch in stretches],
        "firsts": [first for first, _ in days],
        "lasts": [last for _, last in days],
    }
    rows = _rows(
        f"""
        WITH summed AS MATERIALIZED (
            SELECT of_span.*
            FROM unnest(%(hours)s::smallint[], %(froms)s::timestamptz[], %(tos)s::timestamptz[])
                AS span (span_hours, span_start, span_end)
            CROSS JOIN LATERAL (
                SELECT hours, start, {_NAMED_SUMS} FROM billing_usagesum
                WHERE {scope.condition()} AND hours = span_hours AND start >= span_start AND start < span_end
                GROUP BY hours, start) AS of_span)
        SELECT {_SUMS}, min(start)
        FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[], %(firsts)s::timestamptz[],
                    %(lasts)s::timestamptz[]) WITH ORDINALITY AS asked (start_at, end_at, first_day, last_day, place)
        LEFT JOIN summed ON start >= start_at AND start < end_at
            AND hours = CASE WHEN start >= first_day AND start < last_day THEN 24 ELSE 1 END
        GROUP BY place ORDER BY place
        """,  # noqa: S608 - the parts are columns
        named,
    )
    return [Sum(Numbers.of(row[:_WIDTH]), row[_WIDTH]) for row in rows]


def _united(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return the same time in spans that do not overlap."""
    united: list[tuple[datetime, datetime]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united


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


def ranking(scope: Scope, stretch: Stretch, *, by: Group, measure: str = "spend", limit: int = 50) -> Ranking:
    """Return the first groups in a stretch of whole days, without durations."""
    rows = _rows(
        f"""
        SELECT {by}, count(*) OVER () - 1, {_SUMS} FROM billing_usagesum WHERE {scope.condition()} AND {_of_step(Step.DAY)}
        GROUP BY GROUPING SETS (({by}), ())
        ORDER BY grouping({by}) DESC, {_RANKED_BY[measure]} DESC, sum(requests) DESC, {by} LIMIT %(limit)s
        """,  # noqa: S608 - the parts are columns
        _bounds(scope, stretch) | {"limit": limit + 1},
    )
    groups = [(row[0], Numbers.of(row[2:])) for row in rows[1:]]
    return Ranking(groups, Numbers.of(rows[0][2:]), rows[0][1])


def timed_ranking(
    scope: Scope, stretch: Stretch, step: Step, *, by: Group, measure: str, limit: int = 50
) -> tuple[Ranking, dict[datetime, Numbers]]:
    """Return the same with durations, and the course of all: the buckets are read once for both."""
    of_group = f"PARTITION BY grouping({by})"
    rows = _rows(
        f"""
        SELECT * FROM (
            SELECT step, {by}, count(*) OVER ({of_group}),
                row_number() OVER ({of_group} ORDER BY {_RANKED_BY[measure]} DESC, sum(requests) DESC, {by}) AS place,
                {_SUMS}, {_TIMES}
            FROM (SELECT *, date_trunc(%(step)s, start, 'UTC') AS step FROM billing_usagesum
                  WHERE {scope.condition()} AND {_of_step(step)}) AS summed
            GROUP BY GROUPING SETS (({by}), (step))) AS ranked
        WHERE step IS NOT NULL OR place <= %(limit)s ORDER BY place
        """,  # noqa: S608 - the parts are columns
        _bounds(scope, stretch) | {"step": step.value, "limit": limit},
    )
    found = {row[0]: Numbers.of(row[4:]) for row in rows if row[0] is not None}
    groups = [row for row in rows if row[0] is None]
    named = [(row[1], Numbers.of(row[4:])) for row in groups]
    return Ranking(named, in_all(found.values()), groups[0][2] if groups else 0), found


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
    scope: Scope, stretch: Stretch, step: Step, *, by: Group, names: Sequence[str], measure: str
) -> dict[tuple[datetime, str | None], int]:
    """Return a measure in each step for each of the named groups, and under ``None`` for all others together."""
    rows = _rows(
        f"""
        SELECT extract(epoch FROM date_trunc(%(step)s, start, 'UTC'))::bigint,
            CASE WHEN {by} = ANY(%(names)s) THEN {by} END, ({_RANKED_BY[measure]})::bigint
        FROM billing_usagesum WHERE {scope.condition()} AND {_of_step(step)} GROUP BY 1, 2
        """,  # noqa: S608 - the parts are columns
        _bounds(scope, stretch) | {"step": step.value, "names": list(names)},
    )
    # Many rows begin at the same moment, and a moment is slow to read.
    starts = {seconds: datetime.fromtimestamp(seconds, UTC) for seconds in {row[0] for row in rows}}
    return {(starts[seconds], name): value for seconds, name, value in rows}


def models_used(organization_id: str, stretch: Stretch, *, limit: int = 200) -> list[str]:
    """Return the models that were used in a stretch of whole days."""
    scope = Scope(organization_id)
    rows = _rows(
        f"SELECT DISTINCT model_id FROM billing_usagesum WHERE {scope.condition()} AND {_of_step(Step.DAY)} ORDER BY 1 LIMIT %(limit)s",  # noqa: S608 - the parts are columns
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
