"""Everything that moves money, drawn by a seed and done by several workers at once, beside what it should come to."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from accounts.models import Organization
from billing import checkout, grants, posting, refunds, sync, topups
from billing.models import LotKind, TopUp
from billing.settlement import settle_batch
from billing.spool import Usage
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import cents_to_nanos
from tests.billing.cast import make_organization, usage
from tests.billing.stripe.shop import Shop

_CUSTOMERS = 12
_MINUTE = timedelta(minutes=1)


@dataclass
class Payment:
    """A payment at Stripe; whoever does something with it has it alone."""

    top_up: TopUp
    intent_id: str
    left_cents: int
    refunds: list[tuple[str, int]] = field(default_factory=list)
    dispute: str = ""


class Books:
    """What each customer should have, but for what expires; safe for several workers."""

    def __init__(self) -> None:
        self.customers = [make_organization(f"{new_id('user')}@example.org") for _ in range(_CUSTOMERS)]
        self.expected: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.sent: list[Usage] = []
        self.keys: list[tuple[Organization, int, str]] = []
        self._payments: list[Payment] = []
        self._lock = threading.Lock()

    def move(self, organization_id: str, nanos: int) -> None:
        """Note what a customer has more, or less."""
        with self._lock:
            self.expected[organization_id] += nanos

    def count(self, name: str) -> None:
        """Note that something was done."""
        with self._lock:
            self.done[name] += 1

    @contextmanager
    def payment(self, chance: random.Random, fits: Callable[[Payment], bool]) -> Iterator[Payment | None]:
        """Lend one of the payments that fit, if any does."""
        with self._lock:
            fitting = [each for each in self._payments if fits(each)]
            lent = chance.choice(fitting) if fitting else None
            if lent is not None:
                self._payments.remove(lent)
        yield lent
        if lent is not None:
            self.add(lent)

    def add(self, payment: Payment) -> None:
        """Take a payment in."""
        with self._lock:
            self._payments.append(payment)


class Worker:
    """Does one thing after the other."""

    def __init__(self, books: Books, shop: Shop, seed: str) -> None:
        self.books = books
        self.shop = shop
        self.chance = random.Random(seed)

    def run(self, operations: int) -> None:
        """Do so many things."""
        turns = self.chance.choices(list(_TURNS), weights=list(_TURNS.values()), k=operations)
        try:
            for turn in turns:
                turn(self)
                self.books.count(turn.__name__)
        finally:
            connection.close()

    def _customer(self) -> Organization:
        return self.chance.choice(self.books.customers)

    # Credit that comes in.

    def promote(self) -> None:
        lasts = self.chance.choice((None, 1, 2, 5))
        expires_at = None if lasts is None else timezone.now() + lasts * _MINUTE
        customer, amount = self._customer(), self.chance.randint(1, 10**9)
        grants.grant(
            organization=customer, amount_nano=amount, reason="", key=new_id("k"), actor="system", expires_at=expires_at,
        )  # fmt: skip
        self.books.move(customer.pk, amount)

    def adjust(self) -> None:
        customer, amount, kind = self._customer(), self.chance.randint(1, 10**8), LotKind.ADJUSTMENT
        grants.grant(
            organization=customer, amount_nano=amount, reason="", key=new_id("k"), actor="user:1", kind=kind
        )
        self.books.move(customer.pk, amount)

    def record(self) -> None:
        customer, cents, key = self._customer(), self.chance.randint(1, 50), new_id("k")
        topups.record_top_up(organization=customer, cents=cents, key=key, actor="user:1")
        self.books.move(customer.pk, cents_to_nanos(cents))
        self.books.keys.append((customer, cents, key))

    def record_again(self) -> None:
        if self.books.keys:
            customer, cents, key = self.chance.choice(self.books.keys)
            topups.record_top_up(organization=customer, cents=cents, key=key, actor="user:1")

    def buy(self) -> None:
        customer, cents = self._customer(), self.chance.randint(500, 2_000)
        top_up = checkout.follow(self.shop.pay(customer, cents))
        self.books.move(customer.pk, cents_to_nanos(cents))
        self.books.add(Payment(top_up, top_up.stripe_intent or "", cents))

    # Usage.

    def use(self) -> None:
        asked = [(self._customer(), self.chance.randint(0, 10**8)) for _ in range(self.chance.randint(1, 4))]
        fresh = [
            usage(customer, cost_nano=nano, cost_picos=nano * 1000, hold_nano=0) for customer, nano in asked
        ]
        again = self.chance.sample(self.books.sent, min(2, len(self.books.sent)))
        settle_batch([*again, *fresh, *fresh[:1]])
        self.books.sent += fresh
        for customer, nano in asked:
            self.books.move(customer.pk, -nano)

    def post(self) -> None:
        posting.post_usage()

    def expire(self) -> None:
        posting.expire_lots(now=timezone.now() + self.chance.randint(0, 3) * _MINUTE)

    # What goes back.

    def refund(self) -> None:
        with self.books.payment(self.chance, lambda each: not each.dispute) as payment:
            cents = (
                0 if payment is None else min(payment.left_cents, refunds.refundable_cents(payment.top_up))
            )
            if payment is None or not cents:
                return
            try:
                asked = refunds.request(
                    top_up=payment.top_up, cents=self.chance.randint(1, cents), actor="user:1"
                )
            except refunds.NotRefundable:
                # Used by another worker just now.
                return
            sync.send_refund(asked)
            asked.refresh_from_db()
            self._went_back(payment, asked.stripe_id or "", asked.amount_cents)

    def refund_at_stripe(self) -> None:
        with self.books.payment(
            self.chance, lambda each: each.left_cents > 0 and not each.dispute
        ) as payment:
            if payment is not None:
                cents = self.chance.randint(1, payment.left_cents)
                refund = self.shop.refund(payment.intent_id, cents)
                sync.sync(payment.intent_id)
                self._went_back(payment, refund.id, cents)

    def _went_back(self, payment: Payment, refund_id: str, cents: int) -> None:
        payment.left_cents -= cents
        payment.refunds.append((refund_id, cents))
        self.books.move(payment.top_up.organization_id, -cents_to_nanos(cents))

    def refund_fails(self) -> None:
        with self.books.payment(self.chance, lambda each: bool(each.refunds)) as payment:
            if payment is not None:
                refund_id, cents = payment.refunds.pop()
                payment.left_cents += cents
                self.shop.fake.order(f"refunds/{refund_id}", {"status": "failed"})
                sync.sync(payment.intent_id)
                self.books.move(payment.top_up.organization_id, cents_to_nanos(cents))

    def dispute(self) -> None:
        with self.books.payment(
            self.chance, lambda each: not (each.dispute or each.refunds) and each.left_cents > 0
        ) as payment:
            if payment is not None:
                payment.dispute = self.shop.dispute(payment.intent_id)
                sync.sync(payment.intent_id)
                self.books.move(payment.top_up.organization_id, -cents_to_nanos(payment.left_cents))

    def decide(self) -> None:
        with self.books.payment(self.chance, lambda each: each.dispute not in {"", "over"}) as payment:
            if payment is not None:
                is_won = self.chance.random() < 0.5
                self.shop.decide(payment.dispute, "won" if is_won else "lost")
                sync.sync(payment.intent_id)
                payment.dispute = "over"
                if is_won:
                    self.books.move(payment.top_up.organization_id, cents_to_nanos(payment.left_cents))

    def hear_again(self) -> None:
        with self.books.payment(self.chance, lambda each: True) as payment:
            if payment is not None:
                sync.sync(payment.intent_id)


# What is done, and how often of a hundred times.
_TURNS: dict[Callable[[Worker], None], int] = {
    Worker.promote: 12,
    Worker.adjust: 5,
    Worker.record: 6,
    Worker.record_again: 3,
    Worker.buy: 7,
    Worker.use: 40,
    Worker.post: 5,
    Worker.expire: 5,
    Worker.refund: 5,
    Worker.refund_at_stripe: 3,
    Worker.refund_fails: 2,
    Worker.dispute: 2,
    Worker.decide: 2,
    Worker.hear_again: 3,
}


def run(shop: Shop, *, seed: int, operations: int, workers: int = 4) -> Books:
    """Let the workers do so many things in all; raises what any of them met."""
    books = Books()
    with ThreadPoolExecutor(workers) as pool:
        shares = [operations // workers + (number < operations % workers) for number in range(workers)]
        running = [
            pool.submit(Worker(books, shop, f"{seed}-{number}").run, share)
            for number, share in enumerate(shares)
        ]
        for one in running:
            one.result()
    return books
