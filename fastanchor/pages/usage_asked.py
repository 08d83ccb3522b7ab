"""What the reader of the usage page asks for: days, a measure, a group and filters, read from the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from billing.analytics import Group, Scope, Step, Stretch

MOST_DAYS = 366
_LONGEST_BY_HOUR = 2
_LONGEST_BY_DAY = 92
_DEFAULT = "30d"
# Days up to today that a range holds.
_DAYS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
RANGES = {
    "today": "Today",
    "7d": "7 days",
    "30d": "30 days",
    "90d": "90 days",
    "month": "This month",
}
MEASURES = {
    "spend": "Spend",
    "requests": "Requests",
    "tokens": "Tokens",
    "errors": "Errors",
    "latency": "Latency",
}
GROUPS = {
    "time": None,
    "model": Group.MODEL,
    "key": Group.KEY,
    "member": Group.MEMBER,
    "provider": Group.PROVIDER,
}
_STEP_NAMES = {Step.HOUR: "Hour", Step.DAY: "Day", Step.WEEK: "Week"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, whole days in UTC; ``trouble`` says what could not be understood."""

    range: str
    first: date
    last: date
    measure: str
    group: str
    key: str
    model: str
    trouble: str = ""

    @property
    def stretch(self) -> Stretch:
        """The days asked for."""
        return Stretch(_midnight(self.first), _midnight(self.last) + timedelta(days=1))

    @property
    def step(self) -> Step:
        """How long each step of the course is."""
        days = (self.last - self.first).days + 1
        if days <= _LONGEST_BY_HOUR:
            return Step.HOUR
        return Step.DAY if days <= _LONGEST_BY_DAY else Step.WEEK

    @property
    def step_name(self) -> str:
        """The step as a heading."""
        return _STEP_NAMES[self.step]

    @property
    def charted(self) -> str:
        """What the chart shows, as a heading; of errors it shows their number."""
        return "Failed requests" if self.measure == "errors" else MEASURES[self.measure]

    @property
    def by(self) -> Group | None:
        """The group, or ``None`` for a course of time."""
        return GROUPS[self.group]

    def scope(self, organization_id: str) -> Scope:
        """Return whose usage is read."""
        return Scope(organization_id, self.key, self.model)

    def compared(self, now: datetime) -> tuple[Stretch, Stretch]:
        """Return the hours of these days that are over, and as many before the first of them.

        A day that is not over is compared with the same hours of the earlier one, or both would be unlike.
        """
        over = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        end = max(self.stretch.start, min(self.stretch.end, over))
        length = self.stretch.end - self.stretch.start
        return Stretch(self.stretch.start, end), Stretch(self.stretch.start - length, end - length)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def read(given: Mapping[str, str], now: datetime) -> Asked:
    """Read the address; what is missing or unknown is what most readers want."""
    today = now.astimezone(UTC).date()
    try:
        name, first, last = _days(given, today)
        trouble = ""
    except ValueError as exc:
        name, first, last = _named(_DEFAULT, today)
        trouble = str(exc)
    return Asked(
        range=name,
        first=first,
        last=last,
        measure=_one_of(given.get("measure", ""), MEASURES, "spend"),
        group=_one_of(given.get("group", ""), GROUPS, "time"),
        key=given.get("key", "")[:40],
        model=given.get("model", "")[:200],
        trouble=trouble,
    )


def _one_of(word: str, known: Mapping[str, object], default: str) -> str:
    return word if word in known else default


def _days(given: Mapping[str, str], today: date) -> tuple[str, date, date]:
    if given.get("from") or given.get("to"):
        return _custom(given.get("from", ""), given.get("to", ""), today)
    return _named(_one_of(given.get("range", ""), RANGES, _DEFAULT), today)


def _named(name: str, today: date) -> tuple[str, date, date]:
    first = today.replace(day=1) if name == "month" else today - timedelta(days=_DAYS[name] - 1)
    return name, first, today


def _custom(first_text: str, last_text: str, today: date) -> tuple[str, date, date]:
    last = min(_day(last_text), today) if last_text else today
    first = _day(first_text) if first_text else last
    if first > last:
        message = "The first day is after the last, or is still to come. Choose an earlier first day."
        raise ValueError(message)
    if (last - first).days >= MOST_DAYS:
        message = f"At most {MOST_DAYS} days can be shown at once. Choose a later first day."
        raise ValueError(message)
    return "custom", first, last


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year < 2000:
        message = f"“{text[:20]}” is not a day. Write it like 2026-11-30."
        raise ValueError(message)
    return day
