"""Events of Stripe: each is a hint to look at Stripe again, whether it came by webhook or was asked for.

An event is done with once it was processed, not once it has come: one that failed is taken again.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from django.db.models import F
from django.utils import timezone
from redis.exceptions import RedisError

from billing import cards, checkout, payouts
from billing.models import StripeEvent
from billing.stripe_api import events
from billing.stripe_api.client import StripeFault, UnknownObject
from billing.stripe_api.events import EventSeen
from billing.sync import NotOurs, sync
from fastanchor.lib.valkey import sync_client

logger = logging.getLogger(__name__)

_CURSOR = "fa:stripe:polled_at"
OVERLAP = timedelta(hours=1)
# Stripe forgets events after 30 days.
FURTHEST = timedelta(days=30)


def take(event: EventSeen) -> bool:
    """Act on an event, unless it was processed before; returns whether it was new. What fails is raised."""
    row, _ = StripeEvent.objects.get_or_create(
        pk=event.id,
        defaults={"kind": event.kind[:80], "created_at": datetime.fromtimestamp(event.created_at, UTC)},
    )
    if row.processed_at is not None:
        return False
    StripeEvent.objects.filter(pk=row.pk).update(attempts=F("attempts") + 1)
    try:
        _act(event)
    except Exception as exc:
        StripeEvent.objects.filter(pk=row.pk).update(error=f"{type(exc).__name__}: {exc}"[:300])
        raise
    StripeEvent.objects.filter(pk=row.pk).update(processed_at=timezone.now(), error="")
    return True


def _act(event: EventSeen) -> None:
    try:
        if event.intent_id:
            sync(event.intent_id)
        elif event.session_id:
            checkout.follow_session(event.session_id)
        if event.payout_id:
            payouts.follow(event.payout_id)
        if event.customer_id:
            cards.follow_customer(event.customer_id)
    except (NotOurs, UnknownObject):
        # Of another system on the same account, or gone: nothing here can change by it.
        logger.info("stripe.event_not_ours", extra={"event": event.id, "kind": event.kind})


def poll() -> int:
    """Take every event since the last poll that no webhook has brought; returns how many were new.

    One that fails is left to the next poll. Raises ``StripeUnavailable`` when Stripe cannot be asked.
    """
    began = timezone.now()
    taken, failed = 0, False
    for event in events.since(int(_since(began).timestamp())):
        try:
            taken += take(event)
        except StripeFault:
            failed = True
            logger.warning("stripe.event_failed", extra={"event": event.id}, exc_info=True)
    if not failed:
        _remember(began)
    return taken


def _since(now: datetime) -> datetime:
    """Return from when on events are asked for; without a memory, as far back as Stripe has any."""
    try:
        polled_at = sync_client().get(_CURSOR)
    except RedisError:
        polled_at = None
    if polled_at is None:
        return now - FURTHEST
    return datetime.fromtimestamp(int(polled_at), UTC) - OVERLAP


def _remember(moment: datetime) -> None:
    try:
        sync_client().set(_CURSOR, int(moment.timestamp()))
    except RedisError:
        logger.warning("stripe.cursor_not_kept")
