"""The usage page's report: a table that is the truth, and a chart of the same numbers step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString

from billing import analytics
from billing.analytics import Group, Numbers, Ranking, Scope, Step
from fastanchor.lib.money import exact_usd
from fastanchor.pages.usage_asked import Asked
from fastanchor.templatetags.fa import count, millis, per_mille, usd

MOST_SERIES = 8
Value = int | None


@dataclass(frozen=True, slots=True)
class Column:
    """One number of a row: its label, its name for programs, how it is written, and where it comes from."""

    label: str
    name: str
    unit: str
    of: Callable[[Numbers], Value]

    def shown(self, numbers: Numbers) -> str:
        """Write it for people."""
        return _WRITE[self.unit](self.of(numbers))

    def exact(self, numbers: Numbers) -> str | int | None:
        """Return it for programs: money as dollars with all nine places."""
        value = self.of(numbers)
        return exact_usd(value) if self.unit == "usd" and value is not None else value


_WRITE: Mapping[str, Callable[[Value], str]] = {
    "usd": lambda value: usd(value or 0),
    "count": lambda value: count(value or 0),
    "rate": lambda value: per_mille(value or 0),
    "ms": millis,
}

_SPEND = Column("Spend", "cost_usd", "usd", lambda each: each.cost_nano)
_REQUESTS = Column("Requests", "requests", "count", lambda each: each.requests)
_FAILED = Column("Failed", "failed_requests", "count", lambda each: each.failed)
_ERROR_RATE = Column("Error rate", "failed_per_mille", "rate", lambda each: each.failed_per_mille)
_TOKENS = Column("Tokens", "tokens", "count", lambda each: each.tokens)
_INPUT = Column("Input", "input_tokens", "count", lambda each: each.input_tokens)
_OUTPUT = Column("Output", "output_tokens", "count", lambda each: each.output_tokens)
_CACHED = Column("Of input, cached", "cached_tokens", "count", lambda each: each.cached_tokens)
_WRITTEN = Column(
    "Of input, cache writes", "cache_write_tokens", "count", lambda each: each.cache_write_tokens
)
_REASONING = Column("Of output, reasoning", "reasoning_tokens", "count", lambda each: each.reasoning_tokens)
_MEDIAN = Column("Median", "median_ms", "ms", lambda each: each.median_ms)
_P95 = Column("95th percentile", "p95_ms", "ms", lambda each: each.p95_ms)
_FIRST = Column("First token", "first_token_median_ms", "ms", lambda each: each.first_token_ms)
_FIRST_P95 = Column("First token, 95th", "first_token_p95_ms", "ms", lambda each: each.first_token_p95_ms)

TABLES: Mapping[str, tuple[Column, ...]] = {
    "spend": (_SPEND, _REQUESTS, _TOKENS, _ERROR_RATE),
    "requests": (_REQUESTS, _FAILED, _ERROR_RATE, _TOKENS, _SPEND),
    "tokens": (_TOKENS, _INPUT, _CACHED, _WRITTEN, _OUTPUT, _REASONING, _SPEND),
    "errors": (_FAILED, _ERROR_RATE, _REQUESTS, _SPEND),
    "latency": (_MEDIAN, _P95, _FIRST, _FIRST_P95, _REQUESTS),
}
# Parts of all tokens that do not overlap.
_CLASSES = (
    Column(
        "Input",
        "",
        "count",
        lambda each: max(0, each.input_tokens - each.cached_tokens - each.cache_write_tokens),
    ),
    Column("Input from the cache", "", "count", lambda each: each.cached_tokens),
    Column("Input written to the cache", "", "count", lambda each: each.cache_write_tokens),
    Column("Output", "", "count", lambda each: max(0, each.output_tokens - each.reasoning_tokens)),
    Column("Reasoning", "", "count", lambda each: each.reasoning_tokens),
)
_LINES = (_MEDIAN, _P95, _FIRST)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: ``name`` is what stands in the sums, ``label`` what people read."""

    name: str
    label: str
    numbers: Numbers
    start: datetime | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One line or one colour of the chart, with a value for each of its steps."""

    label: str
    number: int
    values: list[Value]


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: ``kind`` is bar (stacked) or line."""

    kind: str
    unit: str
    steps: list[str]
    series: list[Series]

    @property
    def lines(self) -> list[tuple[str, SafeString]]:
        """The chart as a table: each step with the cells of all series, which are too many for a template to write."""
        write = _WRITE[self.unit]
        values = zip(*(each.values for each in self.series), strict=True)
        return [
            (step, SafeString("".join(_cell(value, write(value)) for value in line)))
            for step, line in zip(self.steps, values, strict=True)
        ]


def _cell(value: Value, shown: str) -> str:
    raw = "" if value is None else value
    return f'<td class="is-end" data-value="{raw}">{conditional_escape(shown)}</td>'


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page shows of usage."""

    columns: tuple[Column, ...]
    rows: list[Row]
    total: Numbers
    chart: Chart
    other: Numbers | None = None
    other_count: int = 0


def make(asked: Asked, organization_id: str, *, limit: int) -> Report:
    """Read what is asked for; labels are still the names in the sums."""
    scope = asked.scope(organization_id)
    return _by_time(asked, scope) if asked.by is None else _by_group(asked, scope, asked.by, limit)


def _by_time(asked: Asked, scope: Scope) -> Report:
    timed = asked.measure == "latency"
    found = analytics.course(scope, asked.stretch, asked.step, timed=timed)
    starts = _starts(asked)
    rows = [Row("", label_of(start, asked), found.get(start, Numbers()), start) for start in starts]
    total = analytics.in_all(found.values())
    return Report(TABLES[asked.measure], rows, total, _drawn(asked, [row.numbers for row in rows]))


def _by_group(asked: Asked, scope: Scope, by: Group, limit: int) -> Report:
    found, chart = _read(asked, scope, by, limit)
    rows = [Row(name, name, numbers) for name, numbers in found.groups]
    hidden = found.count - len(rows)
    return Report(
        columns=TABLES[asked.measure],
        rows=rows,
        total=found.total,
        chart=chart,
        other=found.other if hidden else None,
        other_count=hidden,
    )


def _read(asked: Asked, scope: Scope, by: Group, limit: int) -> tuple[Ranking, Chart]:
    if asked.measure == "latency":
        ranked, found = analytics.timed_ranking(
            scope, asked.stretch, asked.step, by=by, measure=asked.measure, limit=limit
        )
        return ranked, _drawn(asked, [found.get(start, Numbers()) for start in _starts(asked)])
    ranked = analytics.ranking(scope, asked.stretch, by=by, measure=asked.measure, limit=limit)
    return ranked, _stacked(asked, scope, by, [name for name, _ in ranked.groups])


def _drawn(asked: Asked, numbers: Sequence[Numbers]) -> Chart:
    """Draw a course of all that is asked for."""
    columns = {"tokens": _CLASSES, "latency": _LINES}.get(asked.measure, TABLES[asked.measure][:1])
    series = [
        Series(column.label, place, [column.of(each) for each in numbers])
        for place, column in enumerate(columns, start=1)
    ]
    kind = "line" if asked.measure == "latency" else "bar"
    return Chart(kind, columns[0].unit, [label_of(start, asked) for start in _starts(asked)], series)


def _stacked(asked: Asked, scope: Scope, by: Group, names: Sequence[str]) -> Chart:
    """Draw the first groups on top of each other, and all others as one."""
    column, starts = TABLES[asked.measure][0], _starts(asked)
    shown: list[str | None] = [*names[:MOST_SERIES]]
    found = analytics.courses(
        scope, asked.stretch, asked.step, by=by, names=names[:MOST_SERIES], measure=asked.measure
    )
    if any(name is None for _, name in found):
        shown.append(None)
    series = [
        Series(
            "Other" if name is None else name,
            0 if name is None else place,
            [found.get((start, name), 0) for start in starts],
        )
        for place, name in enumerate(shown, start=1)
    ]
    return Chart("bar", column.unit, [label_of(start, asked) for start in starts], series)


def _starts(asked: Asked) -> list[datetime]:
    """Return when each step begins; a week begins on Monday, even if that is before the first day."""
    length = {Step.HOUR: timedelta(hours=1), Step.DAY: timedelta(days=1), Step.WEEK: timedelta(days=7)}[
        asked.step
    ]
    start, end = asked.stretch.start, asked.stretch.end
    if asked.step is Step.WEEK:
        start -= timedelta(days=start.weekday())
    return [start + place * length for place in range(-(-(end - start) // length))]


def label_of(start: datetime, asked: Asked) -> str:
    """Write when a step begins, as short as the range allows."""
    if asked.step is not Step.HOUR:
        return f"{start.astimezone(UTC):%Y-%m-%d}"
    return f"{start:%H:%M}" if asked.first == asked.last else f"{start:%m-%d %H:%M}"
