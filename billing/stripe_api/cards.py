"""Saved cards at Stripe: saving one on Stripe's page, listing, removing and charging them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import stripe

from billing.stripe_api.client import StripeRefused, UnknownObject, client, translated
from billing.stripe_api.payments import thing_id


@dataclass(frozen=True, slots=True)
class CardSeen:
    """A saved card as its owner sees it."""

    id: str
    brand: str
    last4: str
    expires_year: int
    expires_month: int
    created_at: int


def open_setup(*, customer_id: str, urls: Mapping[str, str]) -> str:
    """Open Stripe's page on which a card is saved, and return its address; ``urls`` has ``success`` and ``cancel``."""
    with translated():
        session = client().v1.checkout.sessions.create(
            {
                "mode": "setup",
                "currency": "usd",
                "customer": customer_id,
                "success_url": urls["success"],
                "cancel_url": urls["cancel"],
            }
        )
    return session.url or ""


def cards_of(customer_id: str) -> list[CardSeen]:
    """Return a customer's saved cards; raises ``UnknownObject`` for a customer that was deleted."""
    with translated():
        listed = client().v1.customers.payment_methods.list(customer_id, {"type": "card", "limit": 100})
        return [_card(each, each.card) for each in listed.auto_paging_iter() if each.card is not None]


def is_saved(*, card_id: str, customer_id: str) -> bool:
    """Tell whether a card is still the customer's; one that was removed never comes back under its id."""
    try:
        with translated():
            found = client().v1.payment_methods.retrieve(card_id)
    except UnknownObject:
        return False
    return thing_id(found.customer) == customer_id


def remove(card_id: str) -> None:
    """Remove a card from its customer; one that was removed before stays so."""
    with suppress(StripeRefused), translated():
        client().v1.payment_methods.detach(card_id)


def charge(*, customer_id: str, card_id: str, cents: int, top_up_id: str) -> str:
    """Charge a saved card while its owner is away, and return the payment's id; again is the same payment.

    Raises ``CardRefused``.
    """
    with translated():
        intent = client().v1.payment_intents.create(
            {
                "amount": cents,
                "currency": "usd",
                "customer": customer_id,
                "payment_method": card_id,
                "off_session": True,
                "confirm": True,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "description": "FastAnchor credit",
                "metadata": {"top_up": top_up_id},
            },
            {"idempotency_key": f"auto:{top_up_id}"},
        )
    return intent.id


def _card(method: stripe.PaymentMethod, card: stripe.PaymentMethod.Card) -> CardSeen:
    return CardSeen(
        id=method.id,
        brand=card.brand,
        last4=card.last4 or "",
        expires_year=card.exp_year,
        expires_month=card.exp_month,
        created_at=method.created,
    )
