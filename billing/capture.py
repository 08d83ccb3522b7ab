"""The capture rate: of what a provider billed for a day, how much our customers were charged.

Outside of the bounds something was served and not charged, or charged and not billed: that is an open item. Requests over
customers' own keys are on neither side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import connection

from billing import items
from billing.provider_costs import BY_PROVIDER
from fastanchor.lib.money import exact_usd

KIND = "capture_rate"
# In thousandths of what was billed; both are still within.
LEAST, MOST = 995, 1_005
# Spools of a host that was away come in late: for so many days back rates are looked at again each night.
DAYS = 35
_HUNDREDTHS_OF_PERCENT = 10_000
_RATES = f"{BY_PROVIDER} ORDER BY day DESC, provider_id"


@dataclass(frozen=True, slots=True)
class Rate:
    """One provider and day; ``billed_nano`` is ``None`` while no bill is here."""

    day: date
    provider_id: str
    requests: int
    charged_nano: int
    billed_nano: int | None

    @property
    def hundredths(self) -> int | None:
        """Return the rate in hundredths of a percent, cut; ``None`` where nothing was billed."""
        if not self.billed_nano:
            return None
        return self.charged_nano * _HUNDREDTHS_OF_PERCENT // self.billed_nano

    @property
    def percent(self) -> str:
        """Write the rate; cut, so that 99.5 % is never more than it is."""
        if self.hundredths is None:
            return ""
        whole, rest = divmod(self.hundredths, 100)
        return f"{whole}.{rest:02d} %"

    @property
    def is_within(self) -> bool:
        """Tell whether charged and billed agree as far as they must; exactly, not by the rate that is shown."""
        billed = self.billed_nano or 0
        return billed * LEAST <= self.charged_nano * 1_000 <= billed * MOST

    @property
    def difference_nano(self) -> int:
        """Return what was billed and not charged; negative where more was charged."""
        return (self.billed_nano or 0) - self.charged_nano

    @property
    def subject(self) -> str:
        """Return what an open item calls it."""
        return f"{self.provider_id} {self.day}"


def rates(*, first: date, last: date) -> list[Rate]:
    """Return every provider and day of a range on which it served or billed, the newest first."""
    with connection.cursor() as cursor:
        cursor.execute(_RATES, {"first": first, "last": last})
        return [Rate(*row) for row in cursor.fetchall()]


def compare(provider_id: str, days: Iterable[date]) -> int:
    """Open an item for each of a provider's billed days that is outside, close those that are not; returns how many days."""
    chosen = set(days)
    if not chosen:
        return 0
    found = rates(first=min(chosen), last=max(chosen))
    return _note(rate for rate in found if rate.provider_id == provider_id and rate.day in chosen)


def compare_lately(*, today: date) -> int:
    """Do so for every provider and the last days; returns how many were compared."""
    return _note(rates(first=today - timedelta(days=DAYS), last=today - timedelta(days=1)))


def _note(found: Iterable[Rate]) -> int:
    billed = [rate for rate in found if rate.billed_nano is not None]
    for rate in billed:
        if rate.is_within:
            items.settle(kind=KIND, subject=rate.subject)
        else:
            items.note(
                kind=KIND,
                subject=rate.subject,
                ours=f"{exact_usd(rate.charged_nano)} USD charged",
                theirs=f"{exact_usd(rate.billed_nano or 0)} USD billed",
            )
    return len(billed)
