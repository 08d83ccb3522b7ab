"""What Stripe holds for us: its balance, and every movement of it."""

from __future__ import annotations

from collections.abc import Iterator

import stripe

from billing.stripe_api.client import client, translated
from billing.stripe_api.payments import Movement, movement


def movements(*, since: int) -> Iterator[Movement]:
    """Return every balance transaction from a time on (seconds since 1970), newest first."""
    with translated():
        listed = client().v1.balance_transactions.list(
            {"created": {"gte": since}, "limit": 100, "expand": ["data.source"]}
        )
        yield from map(movement, listed.auto_paging_iter())


def payout_movements(payout_id: str) -> list[Movement]:
    """Return what a payout has moved: to the bank, and back where it failed; raises ``UnknownObject``."""
    with translated():
        payout = client().v1.payouts.retrieve(
            payout_id, {"expand": ["balance_transaction", "failure_balance_transaction"]}
        )
    booked = (payout.balance_transaction, payout.failure_balance_transaction)
    return [movement(each) for each in booked if isinstance(each, stripe.BalanceTransaction)]


def balance_cents() -> int:
    """Return what Stripe holds for us in USD, whether it can be paid out yet or not."""
    with translated():
        balance = client().v1.balance.retrieve()
    available = sum(each.amount for each in balance.available if each.currency == "usd")
    return available + sum(each.amount for each in balance.pending if each.currency == "usd")
