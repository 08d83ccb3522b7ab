"""Staff's view of money: everything can be read; what moves money is drafted, shown, and booked with a reason."""

from __future__ import annotations

from billing.admin import (
    degraded,
    disputes,
    items,
    ledger,
    payments,
    proposals,
    reconciliation,
    usage,
    wallets,
)

__all__ = [
    "degraded", "disputes", "items", "ledger", "payments", "proposals", "reconciliation", "usage", "wallets",
]  # fmt: skip
