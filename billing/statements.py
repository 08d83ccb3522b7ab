"""Monthly statements: what an organization had, got, used and has, from the ledger, to the nano.

The table by model is of the requests that began in the month. Those of its last minute may be booked in the next one:
what that makes of a difference is a line of its own, so that the table adds up to what the ledger says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Sum
from django.utils import timezone

from accounts.models import Organization
from billing import months, transactions
from billing.models import JournalKind, Outcome, UsageRecord
from billing.months import Month

# As they stand on the paper; usage has a table of its own.
_ORDER = (
    JournalKind.TOP_UP,
    JournalKind.REFUND,
    JournalKind.REFUND_FAILED,
    JournalKind.DISPUTE,
    JournalKind.SIGNUP,
    JournalKind.GRANT,
    JournalKind.ADJUSTMENT,
    JournalKind.EXPIRY,
    JournalKind.CORRECTION,
    JournalKind.WRITE_OFF,
)


class NoStatement(Exception):
    """The month is not yet, or was before the organization."""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model was used for, money in nano-USD."""

    model_id: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost_nano: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One month in nano-USD; ``made_at`` matters while the month is not over."""

    organization: Organization
    month: Month
    made_at: datetime
    opening_nano: int
    movements: Sequence[tuple[str, int]]
    usage_nano: int
    models: Sequence[ModelUsage]

    @property
    def is_over(self) -> bool:
        """Tell whether nothing can be added any more."""
        return self.made_at >= self.month.end

    @property
    def closing_nano(self) -> int:
        """The balance at the end."""
        return self.opening_nano + sum(amount for _, amount in self.movements) - self.usage_nano

    @property
    def elsewhere_nano(self) -> int:
        """What the month's bookings have more than its requests cost; less than nothing when they have less."""
        return self.usage_nano - sum(model.cost_nano for model in self.models)


def months_of(organization: Organization, *, at: datetime | None = None) -> list[Month]:
    """Return the months that have a statement, newest first; the first is not over."""
    return list(months.between(Month.of(organization.created_at), Month.of(at or timezone.now())))


def make(*, organization: Organization, month: Month, at: datetime | None = None) -> Statement:
    """Return the statement of a month; raises ``NoStatement``."""
    made_at = at or timezone.now()
    if not Month.of(organization.created_at) <= month <= Month.of(made_at):
        raise NoStatement
    sums = transactions.sums(organization=organization, start=month.start, end=month.end)
    return Statement(
        organization=organization,
        month=month,
        made_at=made_at,
        opening_nano=transactions.balance_at(organization=organization, moment=month.start),
        movements=[(transactions.words_of(kind, sums[kind]), sums[kind]) for kind in _ORDER if kind in sums],
        usage_nano=-sums.get(JournalKind.USAGE, 0),
        models=_models(organization, month),
    )


def _models(organization: Organization, month: Month) -> list[ModelUsage]:
    records = UsageRecord.objects.filter(
        organization=organization, started_at__gte=month.start, started_at__lt=month.end
    ).exclude(outcome=Outcome.FAILED)
    rows = records.values("model_id").annotate(
        requests=Count("request_id"),
        inputs=Sum("input_tokens"),
        outputs=Sum("output_tokens"),
        cost=Sum("cost_nano"),
    )
    return [
        ModelUsage(
            row["model_id"], row["requests"], int(row["inputs"]), int(row["outputs"]), int(row["cost"])
        )
        for row in rows.order_by("-cost", "model_id")
    ]
