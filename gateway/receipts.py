"""The receipt of one request: what was used, by which price, what came of it, and why it was charged or not.

Pure: a usage record and its price become a receipt, the same for the API and for the dashboard. The lines and the
adjustment add up to the record's cost in pico-USD, which was rounded once, half to even, to nano-USD.
"""

from __future__ import annotations

from dataclasses import dataclass

from billing.spool import Usage as Entry
from catalog.breakdown import Breakdown, breakdown
from catalog.pricing import Usage
from catalog.snapshot import Price

_NO_LINES = Breakdown((), 0, "")
_ESTIMATED = "The provider did not report the usage, so it is estimated, and never more than was held."


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What stands between the sum of the lines and the cost, in pico-USD, and why; negative where less is charged."""

    reason: str
    picos: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A usage record with its arithmetic; ``price`` is ``None`` where the price is not known any more."""

    entry: Entry
    price: Price | None
    breakdown: Breakdown
    adjustment: Adjustment | None
    rule: str
    why: str

    @property
    def is_charged(self) -> bool:
        """Tell whether anything was charged."""
        return self.entry.cost_nano > 0


def receipt_of(entry: Entry, price: Price | None) -> Receipt:
    """Make the receipt of a usage record."""
    found = _breakdown(entry, price)
    difference = entry.cost_picos - found.picos
    return Receipt(
        entry=entry,
        price=price,
        breakdown=found,
        adjustment=Adjustment(_why_adjusted(entry, difference), difference) if difference else None,
        rule=_rule(found),
        why=_why(entry),
    )


def _breakdown(entry: Entry, price: Price | None) -> Breakdown:
    if price is None:
        return _NO_LINES
    usage = Usage(**{name: getattr(entry, name) for name in Usage.__struct_fields__})
    return breakdown(price, usage, started_at=entry.started_at_ms / 1_000)


def _why_adjusted(entry: Entry, difference: int) -> str:
    if entry.is_own_key:
        return "Not charged by us: your own key was used, and its provider bills you"
    if entry.outcome in _COSTS_NOTHING:
        return "Not charged"
    if entry.outcome == "interrupted":
        return "Brought to the last estimate before the interruption"
    if entry.is_estimated and difference < 0:
        return "Limited to what was held"
    return "As it was charged at the time"


def _rule(found: Breakdown) -> str:
    tier = (
        f"The rates for requests of more than {found.above_tokens:,} input tokens"
        if found.above_tokens
        else "The base rates"
    )
    return f"{tier}, in the hours {found.during} (UTC)." if found.during else f"{tier}."


_WHY = {
    "completed": "The answer was complete, so what it used was charged.",
    "client_left": "You hung up before the end: what the provider had to be paid until then was charged.",
    "upstream_died": "The provider broke off after it had begun to answer: input and what reached you were charged.",
    "cut": "Your credit ran out in the middle of the answer: input and what reached you were charged.",
    "interrupted": "Our process ended in the middle of the answer: the last estimate was charged.",
    "free": "Nothing was delivered, or the fault was ours or the provider's, so nothing was charged.",
    "failed": "No provider served this request, so nothing was charged.",
}
_COSTS_NOTHING = frozenset({"free", "failed"})
_FAULT_OF_THE_REQUEST = frozenset({"invalid_request", "request_too_large"})


def _why(entry: Entry) -> str:
    if entry.outcome == "failed" and entry.error_code in _FAULT_OF_THE_REQUEST:
        return "The provider refused the request as it was asked, so nothing was charged."
    if entry.outcome == "client_left" and not entry.input_tokens and not entry.cost_nano:
        return "You hung up before any provider had answered, so nothing was charged."
    if entry.is_own_key and entry.outcome not in _COSTS_NOTHING:
        return "Served over your own key of the provider, which bills you itself. It cost nothing here."
    if entry.outcome not in _COSTS_NOTHING and not entry.cost_nano:
        return f"The request ended as '{entry.outcome}', and what it used costs nothing."
    why = _WHY.get(entry.outcome, "What it used was charged.")
    return f"{why} {_ESTIMATED}" if entry.is_estimated and entry.cost_nano else why
