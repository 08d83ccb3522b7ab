"""Buying credit on Stripe's page: from the wish to the paid top-up."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Organization
from billing import customers, details
from billing.models import PENDING, TopUp, TopUpSource, TopUpStatus
from billing.stripe_api import payments
from billing.stripe_api.client import NotConfigured, StripeRefused, UnknownObject, is_configured
from billing.sync import NotOurs, sync

logger = logging.getLogger(__name__)

LEAST_CENTS = 500
MOST_CENTS = 1_000_000
PRESET_CENTS = (1_000, 2_500, 5_000, 10_000)
# How long Stripe's page stays open; Stripe allows 30 minutes to a day.
OPEN_S = 60 * 60
# Stripe remembers an idempotency key for a day at least; afterwards a call made again would be another call.
_UNSURE = timedelta(hours=23)


class AmountOutOfBounds(ValueError):
    """A top-up is of ``LEAST_CENTS`` to ``MOST_CENTS``."""


class AccountGone(Exception):
    """Stripe's customer was deleted twice while a page was opened."""


class PageClosed(Exception):
    """Stripe's page for the top-up is paid, expired, or was never opened."""


def begin(*, organization: Organization, cents: int, actor: str) -> TopUp:
    """Note that an organization wants to buy credit, before Stripe is asked; raises ``AmountOutOfBounds``."""
    if not LEAST_CENTS <= cents <= MOST_CENTS:
        raise AmountOutOfBounds(cents)
    if not is_configured():
        raise NotConfigured
    return TopUp.objects.create(
        organization=organization, amount_cents=cents, source=TopUpSource.CHECKOUT, actor=actor
    )


def open_page(top_up: TopUp, *, success_url: str, cancel_url: str) -> str:
    """Open Stripe's page for a top-up and return its address; raises the errors of ``stripe_api.client``."""
    customer = customers.customer_of(top_up.organization)
    try:
        session = _open(top_up, customer.stripe_id, success_url, cancel_url)
    except UnknownObject:
        customers.forget(customer)
        customer = customers.customer_of(top_up.organization)
        session = _open(top_up, customer.stripe_id, success_url, cancel_url)
    TopUp.objects.filter(pk=top_up.pk).update(stripe_session=session.id, updated_at=timezone.now())
    TopUp.objects.filter(pk=top_up.pk, status=TopUpStatus.CREATED).update(status=TopUpStatus.OPEN)
    return session.url


def _open(top_up: TopUp, customer_id: str, success_url: str, cancel_url: str) -> payments.Session:
    return payments.open_checkout(
        customer_id=customer_id,
        top_up_id=top_up.pk,
        cents=top_up.amount_cents,
        # By the top-up's own age: asked again, the same key must come with the same words.
        expires_at=int(top_up.created_at.timestamp()) + OPEN_S,
        urls={"success": success_url, "cancel": cancel_url},
        asks_who=not details.is_ours(top_up.organization),
    )


def find_page(top_up: TopUp) -> str:
    """Return the address of Stripe's page for a top-up; raises ``PageClosed`` and the errors of ``stripe_api.client``."""
    if not top_up.stripe_session:
        raise PageClosed
    session = payments.find_session(top_up.stripe_session)
    if session.status != "open":
        raise PageClosed
    return session.url


def follow(top_up: TopUp) -> TopUp:
    """Look at Stripe how far a top-up is, and return it; raises the errors of ``stripe_api.client``."""
    if top_up.stripe_intent:
        return sync(top_up.stripe_intent)
    if not top_up.stripe_session:
        return _follow_unsure(top_up)
    session = payments.find_session(top_up.stripe_session)
    if session.intent_id:
        return sync(session.intent_id)
    if session.status == "expired":
        _expire(top_up)
    return TopUp.objects.get(pk=top_up.pk)


def follow_session(session_id: str) -> None:
    """Do as ``follow`` does for a visit to Stripe's page; one that is not ours is passed over."""
    top_up = TopUp.objects.select_related("organization").filter(stripe_session=session_id).first()
    if top_up is not None:
        follow(top_up)


def waiting(organization: Organization) -> QuerySet[TopUp]:
    """Return an organization's top-ups that wait for something, newest first."""
    states = [TopUpStatus.OPEN, TopUpStatus.PROCESSING, TopUpStatus.MISMATCHED]
    return TopUp.objects.filter(organization=organization, status__in=states).order_by("-created_at", "-pk")


def unpaid(organization: Organization) -> int:
    """Return how many of an organization's top-ups of the last hour nobody has paid."""
    young = TopUp.objects.filter(
        organization=organization, created_at__gte=timezone.now() - timedelta(seconds=OPEN_S)
    )
    return young.filter(status__in=[TopUpStatus.CREATED, TopUpStatus.OPEN]).count()


def follow_pending(*, older_than: timedelta = timedelta(minutes=15)) -> int:
    """Look at every top-up that has been pending for a while; returns how many there were."""
    waiting = TopUp.objects.filter(status__in=PENDING, created_at__lt=timezone.now() - older_than)
    found = list(waiting.select_related("organization").order_by("created_at", "pk")[:500])
    for top_up in found:
        try:
            follow(top_up)
        except (StripeRefused, NotOurs):
            # One that Stripe knows nothing of must not hold up the others.
            logger.exception("checkout.not_followed", extra={"top_up": top_up.pk})
    return len(found)


def _follow_unsure(top_up: TopUp) -> TopUp:
    """Look for the payment of a top-up whose page, as far as we know, was never opened."""
    for intent_id in payments.find_intents(top_up.pk):
        try:
            return sync(intent_id)
        except NotOurs:
            continue
    if top_up.source == TopUpSource.CHECKOUT and timezone.now() - top_up.created_at > _UNSURE:
        _expire(top_up)
    return TopUp.objects.get(pk=top_up.pk)


def _expire(top_up: TopUp) -> None:
    TopUp.objects.filter(pk=top_up.pk, status__in=[TopUpStatus.CREATED, TopUpStatus.OPEN]).update(
        status=TopUpStatus.EXPIRED, updated_at=timezone.now()
    )
