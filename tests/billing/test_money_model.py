"""Whatever order money moves in: the ledger, wallets, lots and a plain model of them agree after every step."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from accounts.models import Organization
from billing import audit, grants, posting, topups, wallets
from billing.models import CreditLot, Journal, LotKind
from billing.settlement import settle_batch
from billing.spool import Usage
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import cents_to_nanos
from tests.billing.cast import make_organization, usage

MINUTE = timedelta(minutes=1)
NANOS = st.integers(1, 10**8)


@dataclass
class Lot:
    """One batch of credit; sorts as it is consumed."""

    order: tuple[int, float, int]
    left: int


@dataclass
class Customer:
    """What a customer's money should look like."""

    organization: Organization
    lots: list[Lot] = field(default_factory=list)
    unposted: int = 0
    debt: int = 0

    @property
    def balance(self) -> int:
        return sum(lot.left for lot in self.lots) - self.debt - self.unposted

    def credit(self, priority: int, expires: float, amount: int) -> None:
        paid = min(self.debt, amount)
        self.debt -= paid
        self.lots.append(Lot((priority, expires, len(self.lots)), amount - paid))

    def post(self) -> None:
        for lot in sorted(self.lots, key=lambda lot: lot.order):
            used = min(lot.left, self.unposted)
            lot.left -= used
            self.unposted -= used
        self.debt, self.unposted = self.debt + self.unposted, 0

    def expire(self, now: float) -> None:
        self.post()
        for lot in self.lots:
            if lot.order[1] <= now:
                lot.left = 0


class Money(RuleBasedStateMachine):
    """Two customers, and everything that can happen to their money."""

    @initialize()
    def begin(self) -> None:
        self.customers = [Customer(make_organization(f"{new_id('user')}@example.org")) for _ in range(2)]
        self.now: datetime = timezone.now()
        self.sent: list[Usage] = []
        self.keys: list[tuple[Customer, int, str]] = []

    @rule(who=st.integers(0, 1), amount=NANOS, minutes=st.none() | st.integers(1, 5))
    def promote(self, who: int, amount: int, minutes: int | None) -> None:
        customer = self.customers[who]
        expires_at = None if minutes is None else self.now + minutes * MINUTE
        grants.grant(
            organization=customer.organization, amount_nano=amount, reason="", key=new_id("k"), actor="system",
            expires_at=expires_at,
        )  # fmt: skip
        customer.credit(0, expires_at.timestamp() if expires_at else float("inf"), amount)

    @rule(who=st.integers(0, 1), amount=NANOS)
    def adjust(self, who: int, amount: int) -> None:
        customer = self.customers[who]
        grants.grant(
            organization=customer.organization, amount_nano=amount, reason="", key=new_id("k"), actor="system",
            kind=LotKind.ADJUSTMENT,
        )  # fmt: skip
        customer.credit(1, float("inf"), amount)

    @rule(who=st.integers(0, 1), cents=st.integers(1, 20))
    def top_up(self, who: int, cents: int) -> None:
        customer, key = self.customers[who], new_id("k")
        topups.record_top_up(organization=customer.organization, cents=cents, key=key, actor="system")
        self.keys.append((customer, cents, key))
        customer.credit(2, float("inf"), cents_to_nanos(cents))

    @rule(choice=st.randoms(use_true_random=False))
    def top_up_again(self, choice: random.Random) -> None:
        if self.keys:
            customer, cents, key = choice.choice(self.keys)
            topups.record_top_up(organization=customer.organization, cents=cents, key=key, actor="system")

    @rule(
        costs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10**9)), min_size=1, max_size=4),
        again=st.integers(0, 3),
    )
    def settle(self, costs: list[tuple[int, int]], again: int) -> None:
        fresh = [
            usage(self.customers[who].organization, cost_nano=nano, cost_picos=nano * 1000, hold_nano=0)
            for who, nano in costs
        ]
        settle_batch([*self.sent[-again:], *fresh, *fresh[:1]])
        self.sent += fresh
        for who, nano in costs:
            self.customers[who].unposted += nano

    @rule()
    def post(self) -> None:
        posting.post_usage()
        for customer in self.customers:
            customer.post()

    @rule(minutes=st.integers(0, 3))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE
        expiring = [
            customer
            for customer in self.customers
            if any(lot.left and lot.order[1] <= self.now.timestamp() for lot in customer.lots)
        ]
        posting.expire_lots(now=self.now)
        for customer in expiring:
            customer.expire(self.now.timestamp())

    @invariant()
    def everything_agrees(self) -> None:
        for customer in self.customers:
            wallet = wallets.of(customer.organization)
            assert (wallet.balance_nano, wallet.unposted_nano) == (customer.balance, customer.unposted)
            left = CreditLot.objects.filter(organization=customer.organization).order_by("id")
            assert list(left.values_list("remaining_nano", flat=True)) == [lot.left for lot in customer.lots]
        assert [check for check in audit.stored_checks() if not check.ok] == []


@pytest.mark.django_db
def test_money_adds_up_after_every_step() -> None:
    run_state_machine_as_test(
        Money,
        settings=settings(
            max_examples=20,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Journal.objects.exists()
