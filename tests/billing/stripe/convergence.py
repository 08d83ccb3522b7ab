"""Everything that can happen at Stripe, heard of in any order, twice or never; and what our books must say in the end."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

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


@dataclass
class Payment:
    """One payment as its payer and Stripe know it; amounts in cents."""

    organization: Organization
    intent_id: str
    left: int
    refunds: list[tuple[str, int]] = field(default_factory=list)
    dispute: str = ""
    is_questioned: bool = False


class Convergence(RuleBasedStateMachine):
    """Two customers; subclasses name the shop."""

    shop: Shop

    @initialize()
    def begin(self) -> None:
        self.shop.fake.reset()
        self.customers = [make_organization(f"{new_id('user')}@example.org") for _ in range(2)]
        self.expected = dict.fromkeys((each.pk for each in self.customers), 0)
        self.payments: list[Payment] = []

    @rule(who=st.integers(0, 1), cents=st.integers(500, 2_000))
    def pay(self, who: int, cents: int) -> None:
        customer = self.customers[who]
        top_up = self.shop.pay(customer, cents)
        self.payments.append(Payment(customer, self.shop.intent_of(top_up), cents))
        self.expected[customer.pk] += cents

    @rule(choice=st.randoms(use_true_random=False), part=st.integers(1, 3))
    def refund(self, choice: random.Random, part: int) -> None:
        payment = self._one(choice, lambda each: each.left > part and not each.dispute)
        if payment is not None:
            cents = payment.left // part
            payment.refunds.append((self.shop.refund(payment.intent_id, cents).id, cents))
            payment.left -= cents
            self.expected[payment.organization.pk] -= cents

    @rule(choice=st.randoms(use_true_random=False))
    def refund_fails(self, choice: random.Random) -> None:
        payment = self._one(choice, lambda each: bool(each.refunds))
        if payment is not None:
            refund_id, cents = payment.refunds.pop()
            self.shop.fake.order(f"refunds/{refund_id}", {"status": "failed"})
            self.expected[payment.organization.pk] += cents

    @rule(choice=st.randoms(use_true_random=False))
    def dispute(self, choice: random.Random) -> None:
        payment = self._one(
            choice, lambda each: not each.dispute and not each.is_questioned and not each.refunds
        )
        if payment is not None and payment.left:
            payment.dispute = self.shop.dispute(payment.intent_id)
            self.expected[payment.organization.pk] -= payment.left

    @rule(choice=st.randoms(use_true_random=False))
    def inquire(self, choice: random.Random) -> None:
        payment = self._one(
            choice, lambda each: not each.dispute and not each.is_questioned and not each.refunds
        )
        if payment is not None and payment.left:
            self.shop.dispute(payment.intent_id, kind="inquiry")
            payment.is_questioned = True

    @rule(choice=st.randoms(use_true_random=False), is_won=st.booleans())
    def decide(self, choice: random.Random, is_won: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        payment = self._one(choice, lambda each: bool(each.dispute) and each.dispute != "over")
        if payment is not None:
            self.shop.decide(payment.dispute, "won" if is_won else "lost")
            payment.dispute = "over"
            if is_won:
                self.expected[payment.organization.pk] += payment.left

    @rule(choice=st.randoms(use_true_random=False), count=st.integers(1, 6), is_bad_day=st.booleans())
    def hear(self, choice: random.Random, count: int, is_bad_day: bool) -> None:  # noqa: FBT001 - drawn
        told = list(stripe_events.since(0))
        faults: list[Any] = [{"status": 500, "path": "/v1/payment_intents", "count": 3}] if is_bad_day else []
        self.shop.fake.order("faults", {"faults": faults})
        for event in choice.choices(told, k=count) if told else ():
            try:
                events.take(event)
            except StripeFault:
                continue
        self.shop.fake.order("faults", {"faults": []})

    @rule(choice=st.randoms(use_true_random=False))
    def come_back(self, choice: random.Random) -> None:
        top_ups = list(TopUp.objects.select_related("organization").order_by("pk"))
        if top_ups:
            checkout.follow(choice.choice(top_ups))

    def teardown(self) -> None:
        """Poll once, as every five minutes, and hold the books against the model and Stripe."""
        events.poll()
        for customer in self.customers:
            assert wallets.of(customer).balance_nano == cents_to_nanos(self.expected[customer.pk])
        assert clearing_cents() == stripes_cents(self.shop)
        assert [check for check in audit.stored_checks() if not check.ok] == []
        reconciliation.reconcile_cash()
        assert list(reconciliation.open_items()) == []

    def _one(self, choice: random.Random, fits: Callable[[Payment], bool]) -> Payment | None:
        fitting = [payment for payment in self.payments if fits(payment)]
        return choice.choice(fitting) if fitting else None


def run(shop: Shop, *, examples: int, steps: int = 12) -> None:
    """Play so many stories; the first that does not come out right fails."""
    run_state_machine_as_test(
        type("Story", (Convergence,), {"shop": shop}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
