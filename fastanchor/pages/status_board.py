"""What the status page tells, gathered once for the page, its JSON and the pages of models.

Every number is counted from usage records; where there was no traffic, nothing is said of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from time import monotonic

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from billing import health_reading
from billing.health_reading import DAYS, ModelHealth, Standing, total
from catalog.models import Impact, Incident
from catalog.naming import NamedModel, named_models
from fastanchor import health
from fastanchor.lib.charts import Cell, strip
from fastanchor.templatetags.fa import count

KEPT_S = 10.0
# With fewer requests in the present hour and the one before it, the last 24 hours are looked at.
_ENOUGH = 20
# In hundredths of a percent.
_GOOD, _FAIR = 9_900, 9_000


@dataclass(frozen=True, slots=True)
class State:
    """How something is: in words, and the tone in which the page says it."""

    words: str
    tone: str


UP = State("Operational", "good")
SLOWED = State("Some requests fail", "warn")
DOWN = State("Many requests fail", "bad")
UNKNOWN = State("No traffic", "none")
_IMPACTS = {
    Impact.MAJOR: State("Major outage", "bad"),
    Impact.PARTIAL: State("Partial outage", "bad"),
    Impact.DEGRADED: State("Degraded service", "warn"),
    Impact.MAINTENANCE: State("Maintenance", "warn"),
}
_WORST_FIRST = list(_IMPACTS)


@dataclass(frozen=True, slots=True)
class DayLine:
    """One day (UTC) of a strip, as a table shows it."""

    day: date
    standing: Standing


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model: its name, how it is of late, and its numbers."""

    id: str
    name: str
    state: State
    health: ModelHealth


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """One provider: the sums of its models, its days, and which of its models had no traffic in 30 days."""

    slug: str
    name: str
    state: State
    day: Standing
    week: Standing
    days: Sequence[DayLine]
    models: Sequence[ModelLine]
    quiet: Sequence[str]

    @property
    def month(self) -> Standing:
        """The last 30 days."""
        return total(line.standing for line in self.days)

    @property
    def strip(self) -> SafeString:
        """The days as a drawing."""
        return strip_of(self.days, name=f"{self.name}, the last {DAYS} days")


@dataclass(frozen=True, slots=True)
class Board:
    """All providers at a moment, the requests of late, and which of our own parts answered just now."""

    at: datetime
    providers: Sequence[ProviderLine]
    recent: Standing
    parts: Sequence[tuple[str, bool]]
    # Without PostgreSQL nothing else is known.
    has_books: bool = True


class _Kept:
    """The last board, good for some seconds: a status page is looked at most when there is least to spare."""

    def __init__(self) -> None:
        self._found: tuple[Board, SafeString] | None = None
        self._until = 0.0

    def get(self) -> tuple[Board, SafeString]:
        """Return the board and its providers as HTML, both anew when they are too old."""
        found = self._found
        if found is None or monotonic() >= self._until:
            board = _gather(datetime.now(UTC))
            html = render_to_string("site/_status_board.html", {"board": board, "days": DAYS})
            found = self._found = board, html
            self._until = monotonic() + KEPT_S
        return found

    def forget(self) -> None:
        """Gather it anew next time."""
        self._found = None


_kept = _Kept()
board = _kept.get
forget = _kept.forget


def overall(shown: Board, incidents: Sequence[Incident]) -> tuple[State, str]:
    """Return how the whole is, and what that is judged by."""
    if not all(answers for _, answers in shown.parts):
        return State("Some of our own parts do not answer", "bad"), "See below which."
    if incidents:
        worst = min(incidents, key=lambda incident: _WORST_FIRST.index(Impact(incident.impact)))
        return _IMPACTS[Impact(worst.impact)], worst.title
    told = f"{count(shown.recent.requests)} requests in the last two hours"
    if not shown.recent.requests:
        return State("No known problems", "none"), "There were no requests in the last two hours to judge by."
    state = _judge(shown.recent, shown.recent)
    words = "All systems operational" if state is UP else state.words
    return State(words, state.tone), f"{shown.recent.uptime} of {told} were served."


def _judge(recent: Standing, day: Standing) -> State:
    judged = recent if recent.requests >= _ENOUGH else day
    points = judged.basis_points
    if points is None:
        return UNKNOWN
    return UP if points >= _GOOD else SLOWED if points >= _FAIR else DOWN


def strip_of(days: Sequence[DayLine], *, name: str) -> SafeString:
    """Draw days side by side."""
    return strip([Cell(_title(line), _tone(line.standing)) for line in days], name=name)


def _title(line: DayLine) -> str:
    standing = line.standing
    if not standing.requests:
        return f"{line.day}: no requests"
    return f"{line.day}: {standing.uptime} of {count(standing.requests)} requests"


def _tone(standing: Standing) -> str:
    return UNKNOWN.tone if standing.basis_points is None else _judge(standing, standing).tone


def _gather(at: datetime) -> Board:
    checks = health.checks()
    parts = [("Dashboard and books", checks["postgresql"]), ("Limits and credit", checks["valkey"])]
    if not checks["postgresql"]:
        return Board(at, (), Standing(), parts, has_books=False)
    found = health_reading.of_all(at=at)
    recent = total(each.recent for each in found)
    return Board(at, _providers(found, named_models(), at), recent, parts)


def _providers(found: Iterable[ModelHealth], named: Sequence[NamedModel], at: datetime) -> list[ProviderLine]:
    by_provider: defaultdict[str, list[ModelHealth]] = defaultdict(list)
    for each in found:
        by_provider[each.provider_id].append(each)
    seen = {each.model_id for models in by_provider.values() for each in models}
    quiet: defaultdict[str, list[str]] = defaultdict(list)
    for model in named:
        if model.is_sold and model.id not in seen:
            quiet[model.provider_slug].append(model.id)
    names = {model.id: model.name for model in named}
    titles = {model.provider_slug: model.provider for model in named}
    lines = [
        _provider(slug, titles.get(slug, slug), _models(by_provider[slug], names), quiet[slug], at)
        for slug in by_provider.keys() | quiet.keys()
    ]
    return sorted(lines, key=lambda line: (not line.models, line.name.lower(), line.slug))


def _models(found: Iterable[ModelHealth], names: Mapping[str, str]) -> list[ModelLine]:
    return [
        ModelLine(each.model_id, names.get(each.model_id, each.model_id), _judge(each.recent, each.day), each)
        for each in found
    ]


def _provider(
    slug: str, name: str, models: Sequence[ModelLine], quiet: Sequence[str], at: datetime
) -> ProviderLine:
    healths = [model.health for model in models]
    day = total(each.day for each in healths)
    days = [total(each.days[place] for each in healths) for place in range(DAYS)]
    return ProviderLine(
        slug=slug,
        name=name,
        state=_judge(total(each.recent for each in healths), day),
        day=day,
        week=total(days[-7:]),
        days=dated(days, at),
        models=models,
        quiet=quiet,
    )


def dated(standings: Sequence[Standing], at: datetime) -> list[DayLine]:
    """Return days, of which the last is today, with their dates."""
    first = at.astimezone(UTC).date() - timedelta(days=len(standings) - 1)
    return [DayLine(first + timedelta(days=number), one) for number, one in enumerate(standings)]


def model_health(model_id: str) -> dict[str, object]:
    """Return the context of ``site/_model_health.html``: how one model did in the last 30 days; two queries."""
    at = datetime.now(UTC)
    found = health_reading.of_model(model_id, at=at)
    days = dated(found.days, at)
    return {
        "health": found,
        "health_state": _judge(found.recent, found.day),
        "health_days": days,
        "health_strip": strip_of(days, name=f"{model_id}, the last {DAYS} days"),
    }
