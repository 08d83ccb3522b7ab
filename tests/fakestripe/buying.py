"""What a customer does in the tests: start a checkout, fill in the page, pay."""

from __future__ import annotations

from typing import Any

import httpx2
import stripe

from tests.fakestripe.running import RunningStripe

PAYS = "4242 4242 4242 4242"
IS_POOR = "4000000000009995"
ASKS_ALWAYS = "4000002760003184"
ASKS_ONCE = "4000002500003155"
SUCCESS = "http://127.0.0.1:9/thanks?session={CHECKOUT_SESSION_ID}"

FILLED_IN = {
    "billingCountry": "US",
    "billingName": "Ada Lovelace",
    "billingPostalCode": "94107",
    "cardCvc": "123",
    "cardExpiry": "12 / 34",
    "cardNumber": PAYS,
    "email": "ada@example.com",
}


def start_checkout(client: stripe.StripeClient, cents: int = 1_000, **more: Any) -> stripe.checkout.Session:
    """Return a fresh session for credits of ``cents``."""
    product: Any = {"name": "Credits"}
    price: Any = {"currency": "usd", "unit_amount": cents, "product_data": product}
    params: Any = {
        "mode": "payment",
        "success_url": SUCCESS,
        "cancel_url": "http://127.0.0.1:9/no",
        "line_items": [{"price_data": price, "quantity": 1}],
        **more,
    }
    return client.v1.checkout.sessions.create(params)


def fill_in(fake: RunningStripe, url: str | None, cents: int | str = 1_000, **fields: str) -> httpx2.Response:
    """Send the hosted page's form as a browser would."""
    form = {**FILLED_IN, "expectedAmount": str(cents), **fields}
    return fake.browser.post(url or "", data=form)


def charge_now(
    client: stripe.StripeClient, card: str = "pm_card_visa", cents: int = 2_000, **more: Any
) -> stripe.PaymentIntent:
    """Return a payment made at once with one of everybody's cards."""
    methods: Any = {"enabled": True, "allow_redirects": "never"}
    params: Any = {
        "amount": cents,
        "currency": "usd",
        "payment_method": card,
        "confirm": True,
        "automatic_payment_methods": methods,
        **more,
    }
    return client.v1.payment_intents.create(params)


def kinds_of(client: stripe.StripeClient) -> list[str]:
    """Return the types of all events, oldest first."""
    listed = client.v1.events.list({"limit": 100})
    return [str(each.type) for each in listed.auto_paging_iter()][::-1]
