"""Ada's credit card: what a customer does at the fake Stripe between two of our pages."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from billing.models import PaymentMethod, TopUp
from tests.fakestripe.buying import fill_in
from tests.fakestripe.running import RunningStripe


class Card:
    """Buys credit through the pages and Stripe's page, as a browser does."""

    def __init__(self, fake: RunningStripe, browser: Client) -> None:
        self.fake = fake
        self.browser = browser

    def begin(self, amount: str = "10") -> tuple[TopUp, str]:
        """Return the top-up that the form has begun, and the address of Stripe's page for it."""
        sent = self.browser.post(reverse("billing:start-top-up"), {"amount": amount})
        assert sent.status_code == 303
        return TopUp.objects.latest("created_at"), sent["Location"]

    def pay(self, amount: str = "10", **fields: str) -> TopUp:
        """Return a top-up that is paid at Stripe; we have not looked yet."""
        top_up, url = self.begin(amount)
        paid = fill_in(self.fake, url, top_up.amount_cents, **fields)
        assert paid.status_code == 303, paid.text
        assert paid.headers["location"] == f"http://testserver{page_of(top_up)}"
        return top_up

    def buy(self, amount: str = "10") -> TopUp:
        """Return a top-up that is paid and credited."""
        top_up = self.pay(amount)
        self.browser.get(page_of(top_up))
        return TopUp.objects.get(pk=top_up.pk)

    def save(self, **fields: str) -> PaymentMethod:
        """Return a card that is saved on Stripe's page, and that we have looked for."""
        sent = self.browser.post(reverse("billing:add-card"))
        saved = fill_in(self.fake, sent["Location"], "", **fields)
        assert saved.status_code == 303, saved.text
        self.browser.get(saved.headers["location"])
        return PaymentMethod.objects.latest("pk")


def page_of(top_up: TopUp) -> str:
    """Return the address of a top-up's page."""
    return reverse("billing:top-up", args=[top_up.pk])
