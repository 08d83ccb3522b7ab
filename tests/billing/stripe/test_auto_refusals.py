"""What a refused card does to the automatic top-up: it waits, longer each time, and in the end it is off."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Organization
from billing import auto_settings, auto_topups, events
from billing.auto_settings import Wanted
from billing.models import AutoTopUp, PaymentMethod, TopUpStatus
from billing.stripe_api.client import StripeUnavailable
from billing.sync import sync
from tests.billing.stripe.automatic import LOST_ANSWER, automatic, setting_of, switch_on
from tests.billing.stripe.books import balance_cents
from tests.billing.stripe.shop import Shop

POOR = "pm_card_chargeCustomerFail"


def test_a_refused_card_is_left_alone_for_1_then_6_then_24_hours_and_the_fourth_refusal_switches_it_off(
    shop: Shop, ada: Organization
) -> None:
    shop.save_card(ada, POOR)
    switch_on(ada)

    for count, hours in ((1, 1), (2, 6), (3, 24)):
        now = setting_of(ada).next_attempt_at or timezone.now()
        assert auto_topups.consider(ada, now=now)
        wait = (setting_of(ada).next_attempt_at or now) - timezone.now()
        assert wait.total_seconds() == pytest.approx(hours * 3_600, abs=30)
        assert not auto_topups.consider(ada, now=timezone.now() + timedelta(hours=hours, minutes=-1))
        assert (setting_of(ada).is_on, setting_of(ada).failures, len(shop.intents())) == (True, count, count)
    assert auto_topups.consider(ada, now=timezone.now() + timedelta(hours=25))

    assert (setting_of(ada).is_on, setting_of(ada).is_notice_due) == (False, True)
    assert not auto_topups.consider(ada, now=timezone.now() + timedelta(days=9))
    assert len(shop.intents()) == 4
    assert {each.status for each in automatic()} == {TopUpStatus.FAILED}
    assert balance_cents(ada) == 0


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("4000002760003184", "The bank wants you to confirm the payment yourself."),
        ("4000000000009987", "The bank has blocked the card for payments like this."),
        ("4000000000009979", "The bank has blocked the card for payments like this."),
        ("4100000000000019", "The bank has blocked the card for payments like this."),
        ("4000000000000069", "The card has expired."),
    ],
)
def test_a_card_that_will_not_work_is_tried_once(
    shop: Shop, ada: Organization, card: PaymentMethod, number: str, why: str
) -> None:
    shop.turn_card(card, number)

    assert auto_topups.consider(ada)

    setting = setting_of(ada)
    assert (setting.is_on, setting.failures, setting.last_error) == (False, 1, why)
    assert not auto_topups.consider(ada, now=timezone.now() + timedelta(days=9))
    assert len(shop.intents()) == 1


def test_a_passing_refusal_is_told_in_plain_words(shop: Shop, ada: Organization, card: PaymentMethod) -> None:
    shop.turn_card(card, "4000000000009995")

    auto_topups.consider(ada)

    setting = setting_of(ada)
    assert (setting.is_on, setting.last_error) == (True, "The card had too little money on it.")
    assert automatic()[0].failure_code == "insufficient_funds"


def test_a_payment_that_works_forgets_the_refusals(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    shop.turn_card(card, "4000000000000341")
    auto_topups.consider(ada)
    shop.turn_card(card, "4242424242424242")

    auto_topups.consider(ada, now=timezone.now() + timedelta(hours=2))

    setting = setting_of(ada)
    assert (setting.failures, setting.next_attempt_at, setting.last_error) == (0, None, "")
    assert balance_cents(ada) == 5_000


def test_a_new_card_is_tried_at_once(shop: Shop, ada: Organization) -> None:
    shop.save_card(ada, POOR)
    switch_on(ada)
    auto_topups.consider(ada)

    shop.save_card(ada, "pm_card_mastercard")

    assert auto_topups.consider(ada)
    assert balance_cents(ada) == 5_000


def test_switching_it_on_again_begins_afresh_and_saving_it_does_not(shop: Shop, ada: Organization) -> None:
    shop.save_card(ada, POOR)
    switch_on(ada)
    auto_topups.consider(ada)

    switch_on(ada)
    saved = setting_of(ada)
    AutoTopUp.objects.update(is_on=False)
    switch_on(ada)

    assert (saved.failures, saved.next_attempt_at is None) == (1, False)
    assert (setting_of(ada).failures, setting_of(ada).next_attempt_at) == (0, None)


def test_a_new_card_switches_nothing_on_and_the_reason_stays(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    shop.turn_card(card, "4000000000000069")
    auto_topups.consider(ada)

    shop.save_card(ada, "pm_card_mastercard")

    setting = setting_of(ada)
    assert (setting.is_on, setting.is_notice_due) == (False, True)
    assert setting.last_error == "The card has expired."
    assert not auto_topups.consider(ada)


def test_what_its_owner_switches_off_has_no_reason(shop: Shop, ada: Organization) -> None:
    shop.save_card(ada, POOR)
    switch_on(ada)
    auto_topups.consider(ada)

    wanted = Wanted(is_on=False, threshold_cents=1_000, target_cents=5_000, month_cap_cents=20_000)
    auto_settings.save(organization=ada, wanted=wanted, by="user:1")

    setting = setting_of(ada)
    assert (setting.is_on, setting.last_error, setting.is_notice_due) == (False, "", False)


def test_a_refusal_counts_once_however_often_it_is_heard(shop: Shop, ada: Organization) -> None:
    shop.save_card(ada, POOR)
    switch_on(ada)
    auto_topups.consider(ada)

    for _ in range(3):
        sync(automatic()[0].stripe_intent or "")
    events.poll()

    assert setting_of(ada).failures == 1


def test_a_refusal_whose_answer_was_lost_is_counted_by_the_event(shop: Shop, ada: Organization) -> None:
    shop.save_card(ada, POOR)
    switch_on(ada)
    shop.fake.order("faults", {"faults": LOST_ANSWER})
    with pytest.raises(StripeUnavailable):
        auto_topups.consider(ada)
    shop.fake.order("faults", {"faults": []})

    events.poll()

    assert (automatic()[0].status, setting_of(ada).failures) == (TopUpStatus.FAILED, 1)
    assert not auto_topups.consider(ada)
