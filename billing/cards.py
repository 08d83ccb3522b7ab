"""Saved cards: added and kept at Stripe, and known here by what their owner sees of them.

``sync`` reads them anew whatever has happened; webhooks, the poll of events and the page all call it, in any order.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Organization
from billing import backoff, customers
from billing.models import PaymentMethod, StripeCustomer
from billing.stripe_api import cards
from billing.stripe_api.cards import CardSeen
from billing.stripe_api.client import UnknownObject

logger = logging.getLogger(__name__)


class UnknownCard(Exception):
    """The organization has no such card, or no longer."""


def of(organization: Organization) -> QuerySet[PaymentMethod]:
    """Return the saved cards, newest first."""
    return PaymentMethod.objects.filter(organization=organization, removed_at=None).order_by(
        "-created_at", "-pk"
    )


def default_of(organization: Organization) -> PaymentMethod | None:
    """Return the card that automatic top-ups charge, if there is one."""
    return of(organization).filter(is_default=True).select_related("customer").first()


def open_page(organization: Organization, *, success_url: str, cancel_url: str) -> str:
    """Open Stripe's page on which a card is saved, and return its address; raises the errors of ``stripe_api.client``."""
    urls = {"success": success_url, "cancel": cancel_url}
    customer = customers.customer_of(organization)
    try:
        return cards.open_setup(customer_id=customer.stripe_id, urls=urls)
    except UnknownObject:
        customers.forget(customer)
        return cards.open_setup(customer_id=customers.customer_of(organization).stripe_id, urls=urls)


def sync(organization: Organization) -> None:
    """Bring the saved cards to what Stripe says now; raises the errors of ``stripe_api.client``."""
    customer = StripeCustomer.objects.filter(organization=organization, deleted_at=None).first()
    if customer is None:
        return
    try:
        seen = cards.cards_of(customer.stripe_id)
    except UnknownObject:
        customers.forget(customer)
        return
    gone = _gone(customer, {each.id for each in seen})
    with transaction.atomic(durable=True):
        # Two of these at once must not choose two cards.
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        _apply(customer, seen, gone)


def follow_customer(stripe_id: str) -> None:
    """Do as ``sync`` does for a customer of Stripe; one that is not ours is passed over."""
    customer = StripeCustomer.objects.select_related("organization").filter(stripe_id=stripe_id).first()
    if customer is not None:
        sync(customer.organization)


def choose(*, organization: Organization, card_id: int, by: str) -> None:
    """Let automatic top-ups charge this card from now on; raises ``UnknownCard``."""
    with transaction.atomic(durable=True):
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        card = _own(organization, card_id)
        if not card.is_default:
            _make_default(card)
    logger.info(
        "billing.card_chosen", extra={"organization": organization.pk, "card": card.stripe_id, "by": by}
    )


def remove(*, organization: Organization, card_id: int, by: str) -> None:
    """Remove a card at Stripe and here; raises ``UnknownCard`` and the errors of ``stripe_api.client``."""
    card = _own(organization, card_id)
    cards.remove(card.stripe_id)
    logger.info(
        "billing.card_removed", extra={"organization": organization.pk, "card": card.stripe_id, "by": by}
    )
    sync(organization)


def _own(organization: Organization, card_id: int) -> PaymentMethod:
    card = of(organization).filter(pk=card_id).first()
    if card is None:
        raise UnknownCard(card_id)
    return card


def _gone(customer: StripeCustomer, listed: set[str]) -> list[str]:
    """Return the cards that are known here and no longer saved at Stripe.

    Each is asked for by itself: a list that was read before a card was added must not take it away.
    """
    known = PaymentMethod.objects.filter(customer=customer, removed_at=None).exclude(stripe_id__in=listed)
    return [
        stripe_id
        for stripe_id in known.values_list("stripe_id", flat=True)
        if not cards.is_saved(card_id=stripe_id, customer_id=customer.stripe_id)
    ]


def _apply(customer: StripeCustomer, seen: Iterable[CardSeen], gone: list[str]) -> None:
    PaymentMethod.objects.filter(stripe_id__in=gone, removed_at=None).update(
        removed_at=timezone.now(), is_default=False
    )
    # Oldest first: where several are new, the newest is the one that was meant.
    for each in sorted(seen, key=lambda one: (one.created_at, one.id)):
        _keep(customer, each)
    kept = of(customer.organization)
    newest = kept.first()
    if newest is None:
        backoff.switch_off(customer.organization, why="There is no saved card any more.")
    elif not kept.filter(is_default=True).exists():
        _make_default(newest)


def _keep(customer: StripeCustomer, seen: CardSeen) -> None:
    shown = {
        "brand": seen.brand[:40],
        "last4": seen.last4[:4],
        "expires_year": seen.expires_year,
        "expires_month": seen.expires_month,
    }
    if PaymentMethod.objects.filter(stripe_id=seen.id).exists():
        # A card that was removed stays so, whatever an older list says.
        PaymentMethod.objects.filter(stripe_id=seen.id, removed_at=None).update(**shown)
        return
    card = PaymentMethod.objects.create(
        organization=customer.organization, customer=customer, stripe_id=seen.id, **shown
    )
    # Whoever saves a card wants it to be used.
    _make_default(card)


def _make_default(card: PaymentMethod) -> None:
    PaymentMethod.objects.filter(organization_id=card.organization_id, is_default=True).update(
        is_default=False
    )
    PaymentMethod.objects.filter(pk=card.pk).update(is_default=True)
    backoff.reset(card.organization)
