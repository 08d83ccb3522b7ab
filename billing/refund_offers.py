"""What customers may have back without asking anybody: the unused rest of a top-up, for a day after it was paid.

Staff may pay back more, and later; what can be paid back at all is said by ``refunds``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from billing import refunds
from billing.models import Refund, TopUp, TopUpStatus

WINDOW = timedelta(hours=24)


class NotOffered(Exception):
    """The top-up was not paid, or longer ago than ``WINDOW``."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is unused of a top-up, in whole cents, and until when it can be had back; ``is_open`` while it can."""

    cents: int
    until: datetime
    is_open: bool


def offer(top_up: TopUp, *, at: datetime | None = None) -> Offer:
    """Return what a top-up's owner may have back; raises ``NotOffered`` for one that was not paid."""
    if top_up.status != TopUpStatus.SUCCEEDED or top_up.journal is None:
        raise NotOffered
    until = top_up.journal.effective_at + WINDOW
    cents = refunds.refundable_cents(top_up)
    return Offer(cents=cents, until=until, is_open=cents > 0 and (at or timezone.now()) < until)


def accept(*, top_up: TopUp, cents: int, actor: str, at: datetime | None = None) -> Refund:
    """Take the unused rest out of the wallet; ``sync.send_refund`` then pays it back.

    Raises ``NotOffered``, ``refunds.NotRefundable`` when meanwhile less is unused, and ``refunds.InUse``.
    """
    found = offer(top_up, at=at)
    if (at or timezone.now()) >= found.until:
        raise NotOffered
    return refunds.request(top_up=top_up, cents=cents, actor=actor)
