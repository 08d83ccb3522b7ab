"""``sync`` brings wallet and ledger to what Stripe says, whatever came before, however often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from accounts import plans
from accounts.models import Organization
from billing import checkout, ledger, posting, wallets
from billing.models import (
    CreditLot,
    Dispute,
    Journal,
    JournalKind,
    ReconciliationItem,
    Refund,
    RefundStatus,
    TopUp,
    TopUpStatus,
    WalletState,
)
from billing.sync import NotOurs, sync
from fastanchor.lib.money import cents_to_nanos
from tests.billing.cast import make_organization
from tests.billing.stripe.books import assert_books_agree, balance_cents, spend
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop


def test_a_payment_is_credited_and_ends_the_free_plan(buy: Buy, shop: Shop, ada: Organization) -> None:
    top_up = buy(1_000)

    assert (top_up.status, balance_cents(ada)) == (TopUpStatus.SUCCEEDED, 1_000)
    assert Organization.objects.get(pk=ada.pk).plan_id == plans.PAY_AS_YOU_GO
    assert top_up.receipt_url
    assert_books_agree(shop)


def test_syncing_again_moves_nothing(buy: Buy, shop: Shop, ada: Organization) -> None:
    top_up = buy(1_000)
    before = Journal.objects.count()

    for _ in range(3):
        sync(top_up.stripe_intent or "")
        checkout.follow(top_up)

    assert (Journal.objects.count(), balance_cents(ada)) == (before, 1_000)


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_credit_once(shop: Shop) -> None:
    bob = make_organization("bob@example.com")
    top_up = shop.pay(bob, 2_500)

    def follow(_: int) -> None:
        try:
            checkout.follow(TopUp.objects.get(pk=top_up.pk))
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(follow, range(20)))

    assert balance_cents(bob) == 2_500
    assert Journal.objects.filter(kind=JournalKind.TOP_UP).count() == 1


def test_nothing_is_credited_before_it_is_paid(shop: Shop, ada: Organization) -> None:
    top_up, _ = shop.open(ada)

    followed = checkout.follow(top_up)

    assert (followed.status, balance_cents(ada)) == (TopUpStatus.OPEN, 0)
    assert Organization.objects.get(pk=ada.pk).plan_id == plans.FREE


def test_a_payment_by_bank_is_credited_once_it_has_arrived(shop: Shop, ada: Organization) -> None:
    top_up, intent_id = by_bank(shop, ada)
    processing = sync(intent_id).status, balance_cents(ada)

    shop.fake.order(f"payments/{intent_id}", {"status": "succeeded"})
    checkout.follow(top_up)
    sync(intent_id)

    assert processing == (TopUpStatus.PROCESSING, 0)
    assert balance_cents(ada) == 1_000
    assert_books_agree(shop)


def test_a_payment_by_bank_that_comes_to_nothing_has_failed_and_says_why(
    shop: Shop, ada: Organization
) -> None:
    top_up, intent_id = by_bank(shop, ada)
    sync(intent_id)

    shop.fake.order(f"payments/{intent_id}", {"status": "failed"})
    top_up.refresh_from_db()
    seen = checkout.follow(top_up)

    assert (seen.status, balance_cents(ada)) == (TopUpStatus.FAILED, 0)
    assert seen.failure


def by_bank(shop: Shop, organization: Organization) -> tuple[TopUp, str]:
    """Return a top-up that is being paid from a bank account, which takes days, and its payment."""
    top_up, _ = shop.open(organization, 1_000)
    bank: Any = {
        "amount": 1_000,
        "currency": "usd",
        "customer": organization.stripe_customers.get().stripe_id,
        "payment_method_data": {
            "type": "us_bank_account",
            "us_bank_account": {"routing_number": "110000000", "account_number": "000123456789"},
            "billing_details": {"name": "Ada Lovelace"},
        },
        "confirm": True,
        "metadata": {"top_up": top_up.pk},
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    }
    return top_up, shop.api.payment_intents.create(bank).id


def test_refunds_at_stripe_come_out_of_what_was_bought_each_once(
    buy: Buy, shop: Shop, ada: Organization
) -> None:
    intent_id = buy(1_000).stripe_intent or ""

    for cents, left in ((300, 700), (300, 400), (400, 0)):
        shop.refund(intent_id, cents)
        sync(intent_id)
        sync(intent_id)
        assert balance_cents(ada) == left

    assert Journal.objects.filter(kind=JournalKind.REFUND).count() == 3
    assert set(Refund.objects.values_list("status", flat=True)) == {RefundStatus.SUCCEEDED}
    assert_books_agree(shop)


def test_a_refund_that_fails_later_comes_back(buy: Buy, shop: Shop, ada: Organization) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    refund = shop.refund(intent_id, 300)
    sync(intent_id)

    shop.fake.order(f"refunds/{refund.id}", {"status": "failed"})
    sync(intent_id)
    sync(intent_id)

    assert balance_cents(ada) == 1_000
    assert Refund.objects.get().status == RefundStatus.FAILED
    assert_books_agree(shop)


def test_a_refund_that_is_first_heard_of_when_it_has_failed_went_out_and_came_back(
    buy: Buy, shop: Shop, ada: Organization
) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    refund = shop.refund(intent_id, 300)
    shop.fake.order(f"refunds/{refund.id}", {"status": "failed"})

    sync(intent_id)
    sync(intent_id)

    kinds = [JournalKind.REFUND, JournalKind.REFUND_FAILED]
    assert Journal.objects.filter(kind__in=kinds).count() == 2
    assert balance_cents(ada) == 1_000
    assert_books_agree(shop)


def test_a_refund_of_spent_credit_leaves_a_debt_that_the_next_payment_pays(
    buy: Buy, shop: Shop, ada: Organization
) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    spend(ada, 900)

    shop.refund(intent_id, 1_000)
    sync(intent_id)
    owed = balance_cents(ada)
    assert_books_agree(shop)
    buy(2_000)

    assert (owed, balance_cents(ada)) == (-900, 1_100)
    assert ledger.credit_of(ada) == cents_to_nanos(1_100)
    assert_books_agree(shop)


def test_a_chargeback_on_a_spent_wallet_freezes_it_and_winning_restores_it(
    buy: Buy, shop: Shop, ada: Organization
) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    spend(ada, 250)
    dispute = shop.dispute(intent_id)
    sync(intent_id)
    frozen = wallets.of(ada)

    shop.decide(dispute, "won")
    sync(intent_id)

    assert (frozen.balance_nano, frozen.state) == (cents_to_nanos(-250), WalletState.FROZEN_DISPUTE)
    assert frozen.spendable_nano <= 0
    assert (balance_cents(ada), wallets.of(ada).state) == (750, WalletState.ACTIVE)
    assert_books_agree(shop)


def test_a_lost_dispute_stays_taken(buy: Buy, shop: Shop, ada: Organization) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    dispute = shop.dispute(intent_id)
    shop.decide(dispute, "lost")

    sync(intent_id)

    assert balance_cents(ada) == 0
    assert Dispute.objects.get().withdrawn_cents == 1_000
    assert_books_agree(shop)


def test_an_inquiry_moves_nothing(buy: Buy, shop: Shop, ada: Organization) -> None:
    intent_id = buy(1_000).stripe_intent or ""

    shop.dispute(intent_id, kind="inquiry")
    sync(intent_id)

    assert (balance_cents(ada), Dispute.objects.get().withdrawn_cents) == (1_000, 0)


def test_money_of_nobody_is_an_open_item_and_no_credit(shop: Shop, ada: Organization) -> None:
    paid = shop.pay_as_a_stranger()

    for _ in range(2):
        with pytest.raises(NotOurs):
            sync(paid.id)

    item = ReconciliationItem.objects.get()
    assert (item.kind, item.subject, item.theirs) == ("orphan_payment", paid.id, "700 usd")


@pytest.mark.parametrize(("cents", "currency"), [(999, "usd"), (1_001, "usd"), (1_000, "eur")])
def test_a_payment_of_anything_else_than_was_ordered_is_not_credited(
    shop: Shop, ada: Organization, cents: int, currency: str
) -> None:
    top_up, _ = shop.open(ada, 1_000)
    customer = ada.stripe_customers.get().stripe_id
    paid = shop.api.payment_intents.create(
        {
            "amount": cents,
            "currency": currency,
            "customer": customer,
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": {"top_up": top_up.pk},
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )

    for _ in range(2):
        assert sync(paid.id).status == TopUpStatus.MISMATCHED

    item = ReconciliationItem.objects.get()
    assert (item.kind, item.theirs, balance_cents(ada)) == ("payment_mismatch", f"{cents} {currency}", 0)
    assert Organization.objects.get(pk=ada.pk).plan_id == plans.FREE


def test_somebody_elses_payment_cannot_bear_our_mark(shop: Shop, ada: Organization) -> None:
    top_up, _ = shop.open(ada, 1_000)
    paid = shop.api.payment_intents.create(
        {
            "amount": 1_000,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": {"top_up": top_up.pk},
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )

    with pytest.raises(NotOurs):
        sync(paid.id)

    assert balance_cents(ada) == 0


def test_what_usage_has_taken_is_counted_before_a_refund(buy: Buy, shop: Shop, ada: Organization) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    spend(ada, 400)

    shop.refund(intent_id, 600)
    sync(intent_id)
    posting.post_usage()

    assert (balance_cents(ada), ledger.credit_of(ada)) == (0, 0)
    assert [lot.remaining_nano for lot in CreditLot.objects.filter(organization=ada)] == [0]
    assert_books_agree(shop)
