"""The figures of the business by day and month (UTC): each is a rule over the ledger's accounts, or what providers cost.

One table of rules makes the sums, the columns of the export, and the links to the journals behind each figure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from billing import ledger_days, provider_costs
from billing.ledger_days import Booked, Step
from billing.models import AccountCode, JournalKind, ServedDay
from billing.provider_costs import Cost

_CASH = frozenset({AccountCode.STRIPE_CLEARING, AccountCode.MANUAL_CLEARING})


class Figure(NamedTuple):
    """What journals of some kinds (any, where none is named) moved on some accounts; ``sign`` turns it to be read."""

    slug: str
    label: str
    words: str
    codes: frozenset[AccountCode]
    kinds: frozenset[JournalKind]
    sign: int

    def of(self, booked: Booked) -> int:
        """Return the figure in nano-USD."""
        return self.sign * sum(nano for leg, nano in booked.items() if self.counts(*leg))

    def counts(self, kind: JournalKind, code: AccountCode) -> bool:
        """Tell whether a leg is part of it."""
        return code in self.codes and (not self.kinds or kind in self.kinds)


def _figure(
    slug: str,
    label: str,
    words: str,
    codes: Collection[AccountCode],
    kinds: Collection[JournalKind] = (),
    *,
    sign: int = 1,
) -> Figure:
    return Figure(slug, label, words, frozenset(codes), frozenset(kinds), sign)


REVENUE = _figure(
    "revenue", "Revenue", "Usage charged, whatever paid for it", [AccountCode.USAGE_REVENUE], sign=-1
)
PROMO_USED = _figure(
    "promo_used",
    "Of it promotional",
    "Usage paid from credit that we gave",
    [AccountCode.WALLET_PROMO],
    [JournalKind.USAGE],
)
GRANTED = _figure(
    "promo_expense",
    "Promo expense",
    "Credit given, less what was taken back, when it was given",
    [AccountCode.PROMO_EXPENSE],
)
EXPIRED = _figure(
    "expired", "Expired", "Credit that ended unused, bought or given", [AccountCode.BREAKAGE], sign=-1
)
CASH_IN = _figure("cash_in", "Cash in", "Top-ups, before Stripe's fees", _CASH, [JournalKind.TOP_UP])
REFUNDS = _figure(
    "refunds",
    "Refunds",
    "Cash back to cards, less refunds that failed",
    _CASH,
    [JournalKind.REFUND, JournalKind.REFUND_FAILED],
    sign=-1,
)
DISPUTES = _figure(
    "disputes",
    "Disputes",
    "Cash that banks took back, less what they gave back",
    _CASH,
    [JournalKind.DISPUTE],
    sign=-1,
)
FEES = _figure("fees", "Fees", "What Stripe kept for its work", [AccountCode.STRIPE_FEES])
WRITE_OFFS = _figure(
    "write_offs",
    "Write-offs",
    "Losses of disputes and of rounding that staff booked",
    [AccountCode.DISPUTE_LOSS, AccountCode.ROUNDING],
)
CORRECTIONS = _figure(
    "corrections",
    "Corrections",
    "Cash that staff booked to settle open items",
    _CASH,
    [JournalKind.CORRECTION],
)
FIGURES = (
    REVENUE, PROMO_USED, GRANTED, EXPIRED, CASH_IN, REFUNDS, DISPUTES, FEES, WRITE_OFFS, CORRECTIONS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a month by its first day: what was booked, what providers cost, and what stood on the accounts after it."""

    start: date
    booked: Booked = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    closing: dict[AccountCode, int] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, int]:
        """Return every figure of the ledger in nano-USD, by its slug."""
        return {figure.slug: figure.of(self.booked) for figure in FIGURES}

    @property
    def gross_nano(self) -> int:
        """Return what is left of revenue after providers."""
        return REVENUE.of(self.booked) - self.cost.nano

    @property
    def margin_nano(self) -> int:
        """Return what is left after gifts, fees and losses; a gift that ended unused was no loss after all."""
        lost = GRANTED.of(self.booked) + FEES.of(self.booked) + WRITE_OFFS.of(self.booked)
        return self.gross_nano + EXPIRED.of(self.booked) - lost

    @property
    def paid_nano(self) -> int:
        """Return what customers had bought and not used at the end, less what some of them owed us."""
        return -self.closing.get(AccountCode.WALLET_PAID, 0)

    @property
    def promo_nano(self) -> int:
        """Return what customers had been given and not used at the end."""
        return -self.closing.get(AccountCode.WALLET_PROMO, 0)

    @property
    def values(self) -> dict[str, int]:
        """Return every column of the report in nano-USD, in its order."""
        return {
            **self.figures,
            "cost_at_list": self.cost.list_nano,
            "cost": self.cost.nano,
            "gross_margin": self.gross_nano,
            "margin": self.margin_nano,
            "paid_balances": self.paid_nano,
            "promo_balances": self.promo_nano,
        }


def report(*, first: date, last: date, step: Step) -> list[Period]:
    """Return the days or months of a range in which anything happened, oldest first; three queries."""
    booked = ledger_days.sums(first=first, last=last, step=step)
    costs = provider_costs.by_step(first=first, last=last, step=step)
    running = ledger_days.balances(before=first)
    return list(_periods(booked, costs, running))


def _periods(
    booked: dict[date, Booked], costs: dict[date, Cost], running: dict[AccountCode, int]
) -> Iterator[Period]:
    for start in sorted(booked.keys() | costs.keys()):
        legs = booked.get(start, {})
        running = _carried(running, legs)
        yield Period(start, legs, costs.get(start, Cost()), running)


def _carried(running: dict[AccountCode, int], booked: Booked) -> dict[AccountCode, int]:
    after = dict(running)
    for (_, code), nano in booked.items():
        after[code] = after.get(code, 0) + nano
    return after


async def days(
    *, first: date, last: date, costs: dict[date, Cost], running: dict[AccountCode, int]
) -> AsyncIterator[Period]:
    """Yield the days of a range of any length, oldest first; ``costs`` and ``running`` are of the same range."""
    waiting = sorted(costs)
    async for day, booked in ledger_days.by_day(first=first, last=last):
        while waiting and waiting[0] < day:
            start = waiting.pop(0)
            yield Period(start, {}, costs[start], running)
        if waiting and waiting[0] == day:
            waiting.pop(0)
        running = _carried(running, booked)
        yield Period(day, booked, costs.get(day, Cost()), running)
    for start in waiting:
        yield Period(start, {}, costs[start], running)


def first_day() -> date | None:
    """Return the first day on which anything was booked or served."""
    served = ServedDay.objects.order_by("day").values_list("day", flat=True).first()
    return min((day for day in (ledger_days.first_day(), served) if day is not None), default=None)


def in_all(periods: Collection[Period]) -> Period:
    """Return the sum of periods that follow one another, with the balances of the last."""
    booked: Booked = {}
    cost = Cost()
    for period in periods:
        cost = cost + period.cost
        for leg, nano in period.booked.items():
            booked[leg] = booked.get(leg, 0) + nano
    last = list(periods)[-1]
    return Period(last.start, booked, cost, last.closing)
