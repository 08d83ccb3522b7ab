"""Everything that can happen at Stripe, heard of in any order, twice or never; and what our books must say in the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from accounts.models import Organization
from billing import audit, checkout, events, reconciliation, wallets
from billing.models import TopUp
from billing.stripe_api import events as stripe_events
from billing.stripe_api.client import StripeFault
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import cents_to_nanos
from tests.billing.cast import make_organization
from tests.billing.stripe.books import clearing_cents, stripes_cents
from tests.billing.stripe.shop import Shop

# As floats, these in dollars are a nano less than they seem.
_AWKWARD = (803, 811, 819, 828, 836)


@dataclass
class Payment:
    """One payment as its payer and Stripe know it; amounts in cents."""

    organization: Organization
    intent_id: str
    left: int
    refunds: list[tuple[str, int]] = field(default_factory=list)
    dispute: str = ""
    is_questioned: bool = False

    @property
    def is_plain(self) -> bool:
        return not (self.dispute or self.is_questioned or self.refunds) and self.left > 0


class Story:
    """Two customers, and what a seed lets happen to them."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.chance = random.Random(seed)
        # Stories follow one another in the same books: what an earlier one left is part of the sums.
        self.began = int(time.time())
        self.customers = [make_organization(f"{new_id('user')}@example.org") for _ in range(2)]
        self.expected = dict.fromkeys((each.pk for each in self.customers), 0)
        self.payments: list[Payment] = []

    def pay(self) -> None:
        customer = self.chance.choice(self.customers)
        cents = self.chance.choice((self.chance.randint(500, 2_000), self.chance.choice(_AWKWARD)))
        top_up = self.shop.pay(customer, cents)
        self.payments.append(Payment(customer, self.shop.intent_of(top_up), cents))
        self.expected[customer.pk] += cents

    def refund(self) -> None:
        part = self.chance.randint(1, 3)
        payment = self._one(lambda each: each.left > part and not each.dispute)
        if payment is not None:
            cents = payment.left // part
            payment.refunds.append((self.shop.refund(payment.intent_id, cents).id, cents))
            payment.left -= cents
            self.expected[payment.organization.pk] -= cents

    def refund_fails(self) -> None:
        payment = self._one(lambda each: bool(each.refunds))
        if payment is not None:
            refund_id, cents = payment.refunds.pop()
            self.shop.fake.order(f"refunds/{refund_id}", {"status": "failed"})
            payment.left += cents
            self.expected[payment.organization.pk] += cents

    def dispute(self) -> None:
        payment = self._one(lambda each: each.is_plain)
        if payment is not None:
            payment.dispute = self.shop.dispute(payment.intent_id)
            self.expected[payment.organization.pk] -= payment.left

    def inquire(self) -> None:
        payment = self._one(lambda each: each.is_plain)
        if payment is not None:
            self.shop.dispute(payment.intent_id, kind="inquiry")
            payment.is_questioned = True

    def decide(self) -> None:
        payment = self._one(lambda each: bool(each.dispute) and each.dispute != "over")
        if payment is not None:
            is_won = self.chance.random() < 0.6
            self.shop.decide(payment.dispute, "won" if is_won else "lost")
            payment.dispute = "over"
            if is_won:
                self.expected[payment.organization.pk] += payment.left

    def hear(self) -> None:
        told = list(stripe_events.since(self.began))
        faults: list[Any] = (
            [{"status": 500, "path": "/v1/payment_intents", "count": 3}] if self.chance.random() < 0.3 else []
        )
        self.shop.fake.order("faults", {"faults": faults})
        for event in self.chance.choices(told, k=4) if told else ():
            try:
                events.take(event)
            except StripeFault:
                continue
        self.shop.fake.order("faults", {"faults": []})

    def come_back(self) -> None:
        ours = TopUp.objects.filter(organization__in=self.customers)
        top_ups = list(ours.select_related("organization").order_by("pk"))
        if top_ups:
            checkout.follow(self.chance.choice(top_ups))

    def end(self) -> None:
        """Poll once, as every five minutes, and hold the books against the model and Stripe."""
        events.poll()
        for customer in self.customers:
            assert wallets.of(customer).balance_nano == cents_to_nanos(self.expected[customer.pk])
        assert clearing_cents() == stripes_cents(self.shop)
        assert [check for check in audit.stored_checks() if not check.ok] == []
        reconciliation.reconcile_cash()
        left = [(item.kind, item.subject, item.ours, item.theirs) for item in reconciliation.open_items()]
        assert not left, left

    def _one(self, fits: Callable[[Payment], bool]) -> Payment | None:
        fitting = [payment for payment in self.payments if fits(payment)]
        return self.chance.choice(fitting) if fitting else None


# What may happen, and how often.
_TURNS: dict[Callable[[Story], None], int] = {
    Story.pay: 4,
    Story.refund: 4,
    Story.refund_fails: 2,
    Story.dispute: 2,
    Story.inquire: 2,
    Story.decide: 3,
    Story.hear: 5,
    Story.come_back: 3,
}


def run(shop: Shop, *, seed: int, steps: int = 40) -> None:
    """Play one story; fails where it does not come out right."""
    story = Story(shop, seed)
    turns = story.chance.choices(list(_TURNS), weights=list(_TURNS.values()), k=steps)
    for turn in turns:
        turn(story)
    story.end()
