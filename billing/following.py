"""How far a top-up is, for whoever waits on its page: Stripe is asked while there is something to wait for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from billing import checkout, sync
from billing.models import PENDING, RefundStatus, TopUp, TopUpStatus
from billing.stripe_api.client import StripeFault

logger = logging.getLogger(__name__)

# Who has just paid looks again soon; a payment by bank takes days.
_SOON, _SOON_S, _LATER_S = timedelta(minutes=5), 3, 60


@dataclass(frozen=True, slots=True)
class Seen:
    """A top-up as it is now; ``is_fresh`` unless Stripe could not be asked, ``again_s`` is when to look again."""

    top_up: TopUp
    is_fresh: bool
    again_s: int | None


def look(top_up: TopUp) -> Seen:
    """Return a top-up as it is now; while Stripe is away, as it was last seen."""
    is_fresh = not _is_moving(top_up) or _follow(top_up)
    now = TopUp.objects.select_related("organization", "journal__lot").get(pk=top_up.pk)
    return Seen(top_up=now, is_fresh=is_fresh, again_s=_again_s(now))


def _is_moving(top_up: TopUp) -> bool:
    under_way = [RefundStatus.REQUESTED, RefundStatus.PENDING]
    return top_up.status in PENDING or top_up.refunds.filter(status__in=under_way).exists()


def _follow(top_up: TopUp) -> bool:
    try:
        checkout.follow(top_up)
    except (StripeFault, sync.NotOurs) as exc:
        logger.warning("billing.not_followed", extra={"top_up": top_up.pk, "error": type(exc).__name__})
        return False
    return True


def _again_s(top_up: TopUp) -> int | None:
    if top_up.status not in PENDING:
        return None
    is_young = timezone.now() - top_up.created_at < _SOON
    return _SOON_S if is_young and top_up.status != TopUpStatus.PROCESSING else _LATER_S
