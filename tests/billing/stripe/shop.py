"""What customers, banks and Stripe's staff do, at the fake's own pages."""

from __future__ import annotations

from typing import Any

import stripe

from accounts.models import Organization
from billing import cards, checkout, customers
from billing.models import PaymentMethod, TopUp
from tests.fakestripe.buying import fill_in
from tests.fakestripe.running import RunningStripe

SUCCESS, CANCEL = "http://127.0.0.1:9/thanks?s={CHECKOUT_SESSION_ID}", "http://127.0.0.1:9/no"


class Shop:
    """Stripe as seen by everybody but our own code."""

    def __init__(self, fake: RunningStripe) -> None:
        self.fake = fake
        self.api = fake.client().v1

    def open(self, organization: Organization, cents: int = 1_000) -> tuple[TopUp, str]:
        """Return a top-up whose page is open, and the page's address."""
        top_up = checkout.begin(organization=organization, cents=cents, actor="user:1")
        url = checkout.open_page(top_up, success_url=SUCCESS, cancel_url=CANCEL)
        return TopUp.objects.get(pk=top_up.pk), url

    def pay(self, organization: Organization, cents: int = 1_000, **fields: str) -> TopUp:
        """Return a top-up that is paid at Stripe and that we have not heard of."""
        top_up, url = self.open(organization, cents)
        paid = fill_in(self.fake, url, cents, **fields)
        assert paid.status_code == 303, paid.text
        return top_up

    def pay_as_a_stranger(self, cents: int = 700, **more: Any) -> stripe.PaymentIntent:
        """Return a payment on our account that belongs to no top-up."""
        params: Any = {
            "amount": cents,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            **more,
        }
        return self.api.payment_intents.create(params)

    def save_card(self, organization: Organization, name: str = "pm_card_visa") -> PaymentMethod:
        """Return a card that is saved at Stripe and known to us."""
        customer = customers.customer_of(organization).stripe_id
        saved = self.api.payment_methods.attach(name, {"customer": customer})
        cards.sync(organization)
        return PaymentMethod.objects.get(stripe_id=saved.id)

    def turn_card(self, card: PaymentMethod, number: str) -> None:
        """Let a saved card behave as another test card from now on."""
        self.fake.order(f"cards/{card.stripe_id}", {"number": number})

    def intents(self) -> list[stripe.PaymentIntent]:
        """Return every payment that Stripe knows, newest first."""
        return list(self.api.payment_intents.list({"limit": 100}).auto_paging_iter())

    def refund(self, intent_id: str, cents: int) -> stripe.Refund:
        """Pay back at Stripe's own pages."""
        return self.api.refunds.create({"payment_intent": intent_id, "amount": cents})

    def dispute(self, intent_id: str, kind: str = "fraudulent") -> str:
        """Let the payer's bank question a payment; return the dispute's id."""
        made: Any = self.fake.order("disputes", {"payment_intent": intent_id, "kind": kind})
        return str(made["id"])

    def decide(self, dispute_id: str, status: str) -> None:
        """End a dispute."""
        self.fake.order(f"disputes/{dispute_id}", {"status": status})

    def intent_of(self, top_up: TopUp) -> str:
        """Return the payment of a top-up that is paid at Stripe."""
        session = self.api.checkout.sessions.retrieve(TopUp.objects.get(pk=top_up.pk).stripe_session or "")
        return str(session.payment_intent)

    def listen(self, url: str, secrets: list[str]) -> None:
        """Let Stripe send every event to an address, and believe it there."""
        made = self.api.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})
        secrets[:] = [str(made.secret)]
