"""Payouts: what Stripe has paid out to our bank, booked as soon as Stripe tells of it.

The nightly comparison of cash books what nobody has told of.
"""

from __future__ import annotations

import logging

from billing import movements
from billing.stripe_api import cash
from billing.sync import book_fee

logger = logging.getLogger(__name__)


def follow(payout_id: str) -> None:
    """Book what a payout has moved; safe twice. Raises the errors of ``stripe_api.client``."""
    for movement in cash.payout_movements(payout_id):
        movements.book_own(movement)
        book_fee(movement)
        if movement.kind == "payout_failure":
            logger.error("billing.payout_failed", extra={"payout": payout_id})
