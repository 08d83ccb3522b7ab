"""Calendar months in UTC: what lists and statements are cut into."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

_CODE = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_FIRST_YEAR = 2000


class NotAMonth(ValueError):
    """A text is not a month such as ``2026-11``."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One month; it begins with ``start`` and ends before ``end``."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """Return the month that a moment is in."""
        utc = moment.astimezone(UTC)
        return cls(utc.year, utc.month)

    @classmethod
    def parse(cls, code: str) -> Self:
        """Read ``2026-11``; raises ``NotAMonth``."""
        found = _CODE.fullmatch(code)
        if found is None or int(found[1]) < _FIRST_YEAR:
            raise NotAMonth(code)
        return cls(int(found[1]), int(found[2]))

    @property
    def code(self) -> str:
        """The month as addresses write it."""
        return f"{self.year}-{self.number:02d}"

    @property
    def name(self) -> str:
        """The month as people write it."""
        return f"{self.start:%B %Y}"

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.next.start

    @property
    def last_day(self) -> date:
        """Its last day."""
        return self.end.date() - timedelta(days=1)

    @property
    def next(self) -> Month:
        """The month after it."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def previous(self) -> Month:
        """The month before it."""
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)


def between(first: Month, last: Month) -> Iterator[Month]:
    """Yield the months from ``last`` back to ``first``, both included."""
    while last >= first:
        yield last
        last = last.previous
