"""A balance below its threshold is filled from the saved card, once, within the month's limit, whatever is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Organization
from billing import auto_topups, tasks, wallets
from billing.models import (
    AutoTopUp,
    Journal,
    JournalKind,
    PaymentMethod,
    TopUp,
    TopUpSource,
    TopUpStatus,
    WalletState,
)
from billing.stripe_api.client import StripeUnavailable
from billing.sync import sync
from tests.billing.cast import make_organization
from tests.billing.stripe.automatic import LOST_ANSWER, automatic, setting_of, switch_on
from tests.billing.stripe.books import assert_books_agree, balance_cents, spend
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop


def test_a_low_balance_is_filled_to_the_target(shop: Shop, ada: Organization, card: PaymentMethod) -> None:
    assert auto_topups.consider(ada)

    [intent] = shop.intents()
    assert (intent.amount, intent.status, balance_cents(ada)) == (5_000, "succeeded", 5_000)
    assert (automatic()[0].status, automatic()[0].card) == (TopUpStatus.SUCCEEDED, card)
    assert not auto_topups.consider(ada)
    assert_books_agree(shop)


def test_part_of_a_cent_is_rounded_up_and_five_dollars_are_the_least(
    shop: Shop, ada: Organization, card: PaymentMethod, buy: Buy
) -> None:
    buy(600)
    wallets_nano = wallets.of(ada).balance_nano
    AutoTopUp.objects.update(threshold_cents=601, target_cents=700)
    auto_topups.consider(ada)
    least = automatic()[-1].amount_cents
    AutoTopUp.objects.update(threshold_cents=5_000, target_cents=6_000)
    wallets.change(wallets.of(ada), balance_by=-1)

    auto_topups.consider(ada)

    assert (wallets_nano, least) == (6_000_000_000, 500)
    assert automatic()[-1].amount_cents == 6_000 - 1_100 + 1


@pytest.mark.parametrize("balance", [1_000, 4_000])
def test_nothing_is_bought_at_the_threshold_or_above(
    shop: Shop, ada: Organization, card: PaymentMethod, buy: Buy, balance: int
) -> None:
    buy(balance)

    assert not auto_topups.consider(ada)
    assert (auto_topups.sweep(), automatic()) == (0, [])


def test_what_is_off_buys_nothing(shop: Shop, ada: Organization, card: PaymentMethod) -> None:
    AutoTopUp.objects.update(is_on=False)

    assert not auto_topups.consider(ada)
    assert automatic() == []


@pytest.mark.parametrize("state", [WalletState.FROZEN_DISPUTE, WalletState.FROZEN_FRAUD, WalletState.CLOSED])
def test_a_wallet_that_is_not_active_buys_nothing(
    shop: Shop, ada: Organization, card: PaymentMethod, state: WalletState
) -> None:
    wallets.turn(wallets.of(ada), state)

    assert not auto_topups.consider(ada)
    assert automatic() == []


def test_while_a_payment_is_disputed_nothing_is_charged_and_winning_ends_that(
    shop: Shop, ada: Organization, card: PaymentMethod, buy: Buy
) -> None:
    bought = buy(1_000).stripe_intent or ""
    spend(ada, 400)
    dispute = shop.dispute(bought)
    sync(bought)
    refused = auto_topups.consider(ada)

    shop.decide(dispute, "won")
    sync(bought)

    assert (refused, balance_cents(ada)) == (False, 600)
    assert auto_topups.consider(ada)


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_make_one_payment(shop: Shop) -> None:
    bob = make_organization("bob@example.com")
    shop.save_card(bob)
    switch_on(bob)
    begin = threading.Barrier(50)

    def consider(number: int) -> bool:
        try:
            begin.wait(30)
            return bool(auto_topups.sweep()) if number % 2 else auto_topups.consider(bob)
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as pool:
        asked = list(pool.map(consider, range(50)))

    assert (len(shop.intents()), sum(asked)) == (1, 1)
    assert (balance_cents(bob), len(automatic())) == (5_000, 1)


def test_the_database_itself_refuses_a_second_one_under_way(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    TopUp.objects.create(organization=ada, amount_cents=500, source="auto", actor="system", card=card)

    assert not auto_topups.consider(ada)
    with pytest.raises(IntegrityError, match="top_up_one_automatic_pending"):
        TopUp.objects.create(organization=ada, amount_cents=500, source="auto", actor="system", card=card)


def test_the_months_limit_is_never_exceeded_and_the_next_month_goes_on(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    AutoTopUp.objects.update(month_cap_cents=11_000)
    month = datetime(2027, 1, 31, 23, tzinfo=UTC)

    for _ in range(4):
        auto_topups.consider(ada, now=month)
        spend(ada, balance_cents(ada))

    assert [each.amount_cents for each in automatic()] == [5_000, 5_000, 1_000]
    assert setting_of(ada).next_attempt_at == datetime(2027, 2, 1, tzinfo=UTC)
    assert not auto_topups.consider(ada, now=month + timedelta(minutes=59))
    assert auto_topups.consider(ada, now=month + timedelta(hours=1))
    assert sum(each.amount for each in shop.intents()) == 16_000


def test_less_than_five_dollars_of_the_limit_buy_nothing(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    AutoTopUp.objects.update(month_cap_cents=5_499)
    auto_topups.consider(ada)
    spend(ada, 5_000)

    assert not auto_topups.consider(ada)
    assert len(shop.intents()) == 1


def test_a_lost_answer_is_asked_for_again_and_is_the_same_payment(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    shop.fake.order("faults", {"faults": LOST_ANSWER})
    with pytest.raises(StripeUnavailable):
        auto_topups.consider(ada)
    shop.fake.order("faults", {"faults": []})
    [waiting] = automatic()
    again = auto_topups.consider(ada), auto_topups.resume()

    resumed = auto_topups.resume(now=timezone.now() + timedelta(minutes=2))

    assert (waiting.status, again, resumed) == (TopUpStatus.CREATED, (False, 0), 1)
    assert (len(shop.intents()), balance_cents(ada)) == (1, 5_000)
    assert_books_agree(shop)


def test_a_worker_that_died_before_asking_is_made_up_for(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    TopUp.objects.create(
        organization=ada,
        amount_cents=4_000,
        source=TopUpSource.AUTO,
        actor="system",
        card=card,
        created_at=timezone.now() - timedelta(hours=22),
    )

    auto_topups.resume()
    auto_topups.resume()

    assert ([each.amount for each in shop.intents()], balance_cents(ada)) == ([4_000], 4_000)


def test_after_a_day_a_lost_payment_is_looked_for_and_not_asked_for(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    shop.fake.order("faults", {"faults": LOST_ANSWER})
    with pytest.raises(StripeUnavailable):
        auto_topups.consider(ada)
    shop.fake.order("faults", {"faults": []})
    shop.fake.order("clock", {"advance_s": 25 * 3600})

    auto_topups.resume(now=timezone.now() + timedelta(hours=25))

    assert (len(shop.intents()), balance_cents(ada)) == (1, 5_000)
    assert Journal.objects.filter(kind=JournalKind.TOP_UP).count() == 1


def test_after_a_day_what_stripe_never_heard_of_is_over_and_another_may_begin(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    shop.fake.order("faults", {"faults": [{"status": 503}]})
    with pytest.raises(StripeUnavailable):
        auto_topups.consider(ada)
    shop.fake.order("faults", {"faults": []})

    auto_topups.resume(now=timezone.now() + timedelta(hours=23, minutes=30))
    early = automatic()[0].status
    auto_topups.resume(now=timezone.now() + timedelta(hours=25))

    assert (early, automatic()[0].status) == (TopUpStatus.CREATED, TopUpStatus.EXPIRED)
    assert (shop.intents(), setting_of(ada).failures) == ([], 0)
    assert auto_topups.consider(ada)


@pytest.mark.django_db(transaction=True)
def test_twenty_who_resume_at_once_make_one_payment(shop: Shop) -> None:
    bob = make_organization("bob@example.com")
    card = shop.save_card(bob)
    switch_on(bob)
    old = timezone.now() - timedelta(hours=1)
    TopUp.objects.create(
        organization=bob, amount_cents=4_000, source="auto", actor="system", card=card, created_at=old
    )

    def resume(_: int) -> None:
        try:
            auto_topups.resume()
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(resume, range(20)))

    assert (len(shop.intents()), balance_cents(bob)) == (1, 4_000)


def test_while_stripe_is_away_the_tasks_go_on_and_the_wallet_is_untouched(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    shop.fake.order("faults", {"faults": [{"status": 503}]})

    tasks.top_up_automatically()
    tasks.resume_auto_top_ups()
    tasks.top_up_automatically()

    assert [each.status for each in automatic()] == [TopUpStatus.CREATED]
    assert (balance_cents(ada), wallets.of(ada).state) == (0, WalletState.ACTIVE)


def test_a_customer_deleted_at_stripe_ends_it_and_the_wallet_stays(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    shop.fake.order(f"customers/{card.customer.stripe_id}", method="DELETE")

    assert auto_topups.consider(ada)

    card.refresh_from_db()
    assert (setting_of(ada).is_on, setting_of(ada).is_notice_due) == (False, True)
    assert card.removed_at is not None
    assert automatic()[0].status == TopUpStatus.FAILED
    assert (shop.intents(), balance_cents(ada)) == ([], 0)


def test_a_card_removed_at_stripe_gives_way_to_another_at_once(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    shop.save_card(ada, "pm_card_mastercard")
    [default] = PaymentMethod.objects.filter(is_default=True)
    shop.api.payment_methods.detach(default.stripe_id)

    auto_topups.consider(ada)
    auto_topups.consider(ada)

    assert (automatic()[-1].card, balance_cents(ada)) == (card, 5_000)


def test_the_sweep_looks_only_at_what_is_due_and_asks_once_for_all(
    shop: Shop, ada: Organization, card: PaymentMethod, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    bob = make_organization("bob@example.com")
    wallets.of(bob)
    assert auto_topups.sweep() == 1

    with django_assert_num_queries(1):
        assert auto_topups.sweep() == 0
