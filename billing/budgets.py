"""How budgets stand: what is spent of each in its present period, for the pages that show and change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from accounts.models import Budgeted
from billing import spending
from fastanchor.lib.windows import Window, said


@dataclass(frozen=True, slots=True)
class Standing:
    """One window: what is spent in its present period, the budget if there is one, and when that starts anew."""

    window: Window
    spent_nano: int
    budget_nano: int | None
    starts_anew: str

    @property
    def percent(self) -> int:
        """How much of the budget is spent, in whole percent; 100 for a budget of nothing."""
        if self.budget_nano is None:
            return 0
        return min(100, self.spent_nano * 100 // self.budget_nano) if self.budget_nano else 100

    @property
    def left_nano(self) -> int:
        """What is left of the budget."""
        return max(0, (self.budget_nano or 0) - self.spent_nano)


def standings(
    organization_id: str, budgeted: Mapping[str, Budgeted], at: datetime | None = None
) -> dict[str, list[Standing]]:
    """Return all four windows of each subject, by the name under which its spending is counted; one query."""
    moment = at or datetime.now(UTC)
    found = spending.of_subjects(organization_id, budgeted.keys(), moment)
    return {
        spent.subject: [
            Standing(
                window,
                getattr(spent, f"{window}_nano"),
                budgeted[spent.subject].budgets.get(window),
                said(window, moment),
            )
            for window in Window
        ]
        for spent in found.subjects
    }
