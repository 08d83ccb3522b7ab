"""Many top-ups on a bad day: webhooks lost, doubled and shuffled, Stripe failing now and then, banks taking money back."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import stripe

from accounts.models import Organization
from billing import auto_topups, wallets
from billing.models import TopUp, TopUpSource
from billing.stripe_api.client import StripeFault
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import NANOS_PER_CENT
from tests.billing.cast import make_organization
from tests.billing.stripe.automatic import switch_on
from tests.billing.stripe.books import spend
from tests.billing.stripe.shop import Shop

Made = TypeVar("Made")

POST = {"drop": 0.5, "double": 0.5, "shuffle_ms": 50, "parallel": 4}
STRIPE = [
    {"status": 500, "rate": 0.03},
    {"status": 503, "rate": 0.01, "when": "after"},
    {"status": 429, "rate": 0.01},
]
_CUSTOMERS = 5
_MOST_TRIES = 20


@dataclass
class BadDay:
    """What a seed lets happen, and what everybody has paid."""

    shop: Shop
    seed: int
    paid: dict[str, int] = field(default_factory=dict)

    def run(self, count: int) -> None:
        """Let so many top-ups happen, and what comes after them."""
        self.chance = random.Random(self.seed)
        self.customers = [self._customer() for _ in range(_CUSTOMERS)]
        self.shop.fake.order("webhooks", {**POST, "seed": self.seed})
        self.shop.fake.order("faults", {"faults": STRIPE, "seed": self.seed})
        for _ in range(count):
            self._one()
        while not self.shop.fake.order("settle", {"within_s": 10})["settled"]:
            pass
        self.shop.fake.order("faults", {"faults": []})

    def _customer(self) -> Organization:
        customer = make_organization(f"{new_id('user')}@example.org")
        self.shop.save_card(customer)
        switch_on(customer, cap=100_000_000)
        return customer

    def _one(self) -> None:
        customer = self.chance.choice(self.customers)
        intent_id = self._buy(customer) if self.chance.random() < 0.7 else self._fill(customer)
        if intent_id is None:
            return
        what_next = self.chance.random()
        if what_next < 0.25:
            paid = self.paid[intent_id]
            # A refund whose answer was lost is made again, and may then be more than is left.
            with suppress(stripe.InvalidRequestError):
                self._insist(lambda: self.shop.refund(intent_id, self.chance.randint(1, paid)))
        elif what_next < 0.4:
            dispute = self.shop.dispute(intent_id)
            if self.chance.random() < 0.5:
                self.shop.decide(dispute, self.chance.choice(["won", "lost"]))

    def _buy(self, customer: Organization) -> str:
        """Buy on Stripe's page; who is shown an error tries again."""
        cents = self.chance.randint(500, 5_000)
        top_up = self._insist(lambda: self.shop.pay(customer, cents))
        intent_id = self._insist(lambda: self.shop.intent_of(top_up))
        self.paid[intent_id] = cents
        return intent_id

    def _fill(self, customer: Organization) -> str | None:
        """Let the balance fall, so that it fills itself."""
        left = wallets.of(customer).balance_nano // NANOS_PER_CENT
        if left >= 1_000:
            spend(customer, left - self.chance.randint(0, 900))
        try:
            auto_topups.consider(customer)
        except StripeFault:
            return None
        last = (
            TopUp.objects.filter(organization=customer, source=TopUpSource.AUTO)
            .order_by("-created_at")
            .first()
        )
        if last is None or last.stripe_intent is None or last.stripe_intent in self.paid:
            return None
        self.paid[last.stripe_intent] = last.amount_cents
        return last.stripe_intent

    def _insist(self, act: Callable[[], Made]) -> Made:
        for _ in range(_MOST_TRIES):
            try:
                return act()
            except (StripeFault, stripe.APIError, stripe.RateLimitError):
                continue
        raise AssertionError
