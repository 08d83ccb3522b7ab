"""Some seeded days: customers, banks, Stripe and staff move money in any order, and the books hold after every step."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from accounts.models import Organization
from billing import adjustments, audit, checkout, drafts, items, reconciliation, remedies, wallets, write_offs
from billing.models import AccountCode, Dispute, ReconciliationItem, TopUp
from billing.remedies import Decision, Remedy
from billing.sync import sync
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import NANOS_PER_CENT
from tests.billing.cast import make_organization
from tests.billing.stripe.books import assert_books_agree, spend
from tests.billing.stripe.shop import Shop

DAYS, SEED = 3, 20_260_301
WHY, WHO = "Campaign", "user:7"


class Day:
    """What may happen, and whom it may happen to."""

    def __init__(self, shop: Shop, customers: list[Organization], chance: random.Random) -> None:
        self.shop, self.customers, self.chance = shop, customers, chance
        self.done: list[str] = []

    def hours(self) -> Iterator[None]:
        """Let everything happen to somebody, in any order."""
        deeds = [
            self.buy, self.buy, self.use, self.use, self.dispute, self.decide, self.give, self.take, self.write_off,
            self.move, self.stranger, self.refund, self.reconcile, self.settle,
        ]  # fmt: skip
        for deed in self.chance.sample(deeds, len(deeds)):
            self.done.append(deed.__name__)
            deed(self.chance.choice(self.customers))
            yield

    def buy(self, customer: Organization) -> None:
        checkout.follow(self.shop.pay(customer, self.chance.randint(500, 3_000)))

    def use(self, customer: Organization) -> None:
        left = wallets.of(customer).balance_nano // NANOS_PER_CENT
        if left > 0:
            spend(customer, self.chance.randint(1, left))

    def dispute(self, customer: Organization) -> None:
        paid = TopUp.objects.filter(organization=customer, status="succeeded", disputes=None, refunds=None)
        for top_up in paid[:1]:
            self.shop.dispute(top_up.stripe_intent or "")
            sync(top_up.stripe_intent or "")

    def decide(self, customer: Organization) -> None:
        for dispute in Dispute.objects.filter(top_up__organization=customer).order_by("-opened_at", "pk")[:1]:
            # Also once it was lost: banks have made exceptions.
            self.shop.decide(dispute.pk, self.chance.choice(["won", "lost", "lost"]))
            sync(dispute.top_up.stripe_intent or "")

    def refund(self, customer: Organization) -> None:
        paid = TopUp.objects.filter(organization=customer, status="succeeded", disputes=None, refunds=None)
        for top_up in paid[:1]:
            self.shop.refund(top_up.stripe_intent or "", self.chance.randint(1, top_up.amount_cents))
            sync(top_up.stripe_intent or "")

    def give(self, customer: Organization) -> None:
        self.book(self.adjust(adjustments.give, customer))

    def take(self, customer: Organization) -> None:
        self.book(self.adjust(adjustments.take, customer))

    def adjust(self, way: Callable[..., drafts.Draft], customer: Organization) -> drafts.Draft:
        nano = self.chance.randint(1, 3_000_000_000)
        return way(organization=customer, amount_nano=nano, reason=WHY, key=new_id("adj"), actor=WHO)

    def write_off(self, customer: Organization) -> None:
        for dispute in Dispute.objects.filter(top_up__organization=customer)[:3]:
            self.book(write_offs.draft(dispute=dispute, reason=WHY, actor=WHO))

    def book(self, draft: drafts.Draft) -> None:
        """Book a draft twice, as a double click does, unless it is refused."""
        try:
            shown = drafts.show(draft)
        except (adjustments.MoreThanLeft, write_offs.NotLost, write_offs.NothingOwed):
            return
        assert drafts.book(draft, shown=shown) == drafts.book(draft, shown=shown)

    def move(self, _: Organization) -> None:
        kind = self.chance.choice(["adjustment", "payout_failure", "reserve_hold", "stripe_fee", "transfer"])
        amount, fee = self.chance.randint(-900, 900) or 1, self.chance.choice([0, 7])
        self.shop.fake.order("movements", {"type": kind, "amount": amount, "fee": fee})

    def stranger(self, _: Organization) -> None:
        self.shop.pay_as_a_stranger(self.chance.randint(50, 900))

    def reconcile(self, _: Organization) -> None:
        reconciliation.reconcile_cash()

    def settle(self, customer: Organization) -> None:
        for item in reconciliation.open_items():
            self.settle_one(item, customer)

    def settle_one(self, item: ReconciliationItem, customer: Organization) -> None:
        remedy, decision = remedies.remedy_of(item), Decision(item, WHY, WHO)
        if remedy == Remedy.CREDIT:
            draft = remedies.credit_payment(decision, organization=customer)
        # A payment of nobody is missing in cash as well, until it is credited; the total until all is booked.
        elif remedy == Remedy.BOOK and item.kind in {"cash_unknown", "cash_differs"}:
            is_wallets = self.chance.random() < 0.5
            code = AccountCode.WALLET_PAID if is_wallets else AccountCode.STRIPE_RESERVE
            draft = remedies.book_cash(decision, account=code, organization=customer if is_wallets else None)
        else:
            return
        shown = drafts.show(draft)
        drafts.book(draft, shown=shown)
        with pytest.raises(items.AlreadyClosed):
            drafts.book(draft, shown=shown)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [SEED])
def test_whatever_people_do_the_books_hold_and_end_up_equal(
    shop: Shop, ada: Organization, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("fastanchor.local.fakestripe.disputes.ENDED", {"won"})
    day = Day(shop, [ada, make_organization("ben@example.com")], random.Random(seed))

    for _ in range(DAYS):
        for _ in day.hours():
            assert [check for check in audit.stored_checks() if not check.ok] == [], day.done
    reconciliation.reconcile_cash()
    day.settle(ada)
    reconciliation.reconcile_cash()

    assert list(reconciliation.open_items()) == [], day.done
    assert_books_agree(shop)
