"""Which requests are meant: a stretch of time, and what they have in common. The log, its live tail and exports share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

from django.db import models

from billing.models import Outcome, UsageRecord

_FAILED_FROM = 400


class Ending(models.TextChoices):
    """How a request ended, as people look for it."""

    OK = "ok", "OK"
    """Complete, and no error was sent."""
    FAILED = "failed", "Failed"
    """An error was sent, or nothing was delivered."""
    CLIENT_LEFT = "client_left", "Client left"
    UPSTREAM_DIED = "upstream_died", "Provider broke off"
    CUT = "cut", "Cut: credit ran out"
    INTERRUPTED = "interrupted", "Interrupted"


class Condition(NamedTuple):
    """A condition in SQL, and its parameters."""

    sql: str
    values: tuple[Any, ...] = ()


# The index ``usage_troubled`` holds these alone; a query must say it in the same words to use it.
TROUBLED = "(NOT outcome = 'completed' OR status >= 400)"
_ENDINGS = {
    Ending.OK: Condition("(outcome = 'completed' AND status < 400)"),
    Ending.FAILED: Condition(f"({TROUBLED} AND (status >= 400 OR outcome IN ('free', 'failed')))"),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Requests that started from ``start`` until before ``end``; money in nano-USD; what is not set does not matter."""

    start: datetime | None = None
    end: datetime | None = None
    key_id: str = ""
    model_id: str = ""
    ending: Ending | None = None
    least_nano: int | None = None
    most_nano: int | None = None
    is_stream: bool | None = None

    def conditions(self) -> dict[str, Condition]:
        """Return what a usage record must meet, by the name of what is asked for."""
        found = {
            "start": self.start and Condition("started_at >= %s", (self.start,)),
            "end": self.end and Condition("started_at < %s", (self.end,)),
            "ending": self.ending and _ending(self.ending),
            "key": self.key_id and Condition("key_id = %s", (self.key_id,)),
            "model": self.model_id and Condition("model_id = %s", (self.model_id,)),
            "least": self.least_nano is not None and Condition("cost_nano >= %s", (self.least_nano,)),
            "most": self.most_nano is not None and Condition("cost_nano <= %s", (self.most_nano,)),
            "stream": self.is_stream is not None and Condition("is_stream = %s", (self.is_stream,)),
        }
        return {name: condition for name, condition in found.items() if condition}

    def holds(self, record: UsageRecord) -> bool:
        """Tell whether a record is meant."""
        return all(
            (
                self.start is None or record.started_at >= self.start,
                self.end is None or record.started_at < self.end,
                self.key_id in {"", record.key_id},
                self.model_id in {"", record.model_id},
                self.ending is None or _ended(record, self.ending),
                self.least_nano is None or record.cost_nano >= self.least_nano,
                self.most_nano is None or record.cost_nano <= self.most_nano,
                self.is_stream in {None, record.is_stream},
            )
        )

    def as_json(self) -> dict[str, Any]:
        """Write it down; ``from_json`` reads it again."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in values.items()
            if value not in {None, ""}
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what ``as_json`` has written."""
        read: dict[str, Callable[[str], Any]] = {
            "start": datetime.fromisoformat,
            "end": datetime.fromisoformat,
            "ending": Ending,
        }
        return cls(**{name: read[name](value) if name in read else value for name, value in values.items()})


def _ending(ending: Ending) -> Condition:
    return _ENDINGS.get(ending) or Condition(f"({TROUBLED} AND outcome = %s)", (ending.value,))


def _ended(record: UsageRecord, ending: Ending) -> bool:
    is_failed = record.status >= _FAILED_FROM
    if ending is Ending.OK:
        return record.outcome == Outcome.COMPLETED and not is_failed
    if ending is Ending.FAILED:
        return is_failed or record.outcome in {Outcome.FREE, Outcome.FAILED}
    return bool(record.outcome == ending.value)
