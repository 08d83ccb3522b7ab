"""How requests are shown to their people: a row of the log, and the words for how a request ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from django.template.loader import render_to_string

from accounts.keys import DELETED_KEY
from billing import usage
from billing.models import Outcome, UsageRecord

_ENDED = {
    Outcome.COMPLETED: ("OK", "good"),
    Outcome.CLIENT_LEFT: ("Client left", ""),
    Outcome.UPSTREAM_DIED: ("Provider broke off", "warn"),
    Outcome.CUT: ("Cut", "warn"),
    Outcome.FREE: ("Nothing delivered", "bad"),
    Outcome.INTERRUPTED: ("Interrupted", "warn"),
    Outcome.FAILED: ("Failed", "bad"),
}


@dataclass(frozen=True, slots=True)
class LogRow:
    """One request as the log shows it; ``tone`` is the colour of its outcome, ``units`` what is no token."""

    record: UsageRecord
    key_name: str
    words: str
    tone: str
    duration: timedelta
    units: str


def ended(record: UsageRecord) -> tuple[str, str]:
    """Return how a request ended, in a few words, and their colour."""
    if record.status >= HTTPStatus.BAD_REQUEST:
        return f"Failed, {record.status}", "bad"
    return _ENDED[Outcome(record.outcome)]


def row(record: UsageRecord, keys: Mapping[str, str]) -> LogRow:
    """Return a request's row; ``keys`` are key names by id."""
    words, tone = ended(record)
    return LogRow(
        record=record,
        key_name=keys.get(record.key_id, DELETED_KEY),
        words=words,
        tone=tone,
        duration=record.finished_at - record.started_at,
        units=usage.units_text(record),
    )


def rendered(rows: Iterable[LogRow]) -> list[tuple[str, str]]:
    """Return rows as HTML, by request id."""
    return [(one.record.request_id, render_to_string("activity/_row.html", {"row": one})) for one in rows]
