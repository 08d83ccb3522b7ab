"""Saved cards are what Stripe says, whoever tells and in whatever order."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from accounts.models import Organization
from billing import auto_settings, cards, checkout, customers, events, wallets
from billing.auto_settings import Wanted
from billing.models import AutoTopUp, PaymentMethod, StripeCustomer, TopUpStatus
from billing.stripe_api import cards as stripe_cards, events as stripe_events
from billing.stripe_api.cards import CardSeen
from billing.stripe_api.client import StripeUnavailable
from tests.billing.cast import make_organization
from tests.billing.stripe.books import balance_cents
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import CANCEL, SUCCESS, Shop
from tests.fakestripe.buying import fill_in

ON = Wanted(is_on=True, threshold_cents=1_000, target_cents=5_000, month_cap_cents=20_000)


def switch_on(organization: Organization) -> None:
    auto_settings.save(organization=organization, wanted=ON, by="user:1")


def shown(organization: Organization) -> list[tuple[str, str, bool]]:
    """Return brand, last digits and whether automatic top-ups charge it, newest first."""
    return [(each.brand, each.last4, each.is_default) for each in cards.of(organization)]


def save_on_stripes_page(shop: Shop, organization: Organization, **fields: str) -> httpx2.Response:
    url = cards.open_page(organization, success_url=SUCCESS, cancel_url=CANCEL)
    return fill_in(shop.fake, url, "", **fields)


def test_a_card_saved_on_stripes_page_is_the_one_that_is_charged(shop: Shop, ada: Organization) -> None:
    saved = save_on_stripes_page(shop, ada)
    cards.sync(ada)
    cards.sync(ada)

    assert saved.status_code == 303, saved.text
    assert shown(ada) == [("visa", "4242", True)]
    assert cards.of(ada).get().expires_year == 2034
    assert shop.intents() == []


@pytest.mark.parametrize(
    "kind", ["setup_intent.succeeded", "payment_method.attached", "checkout.session.completed"]
)
def test_each_event_about_it_makes_a_card_known(shop: Shop, ada: Organization, kind: str) -> None:
    save_on_stripes_page(shop, ada)

    [told] = [each for each in stripe_events.since(0) if each.kind == kind]
    events.take(told)

    assert shown(ada) == [("visa", "4242", True)]


def test_the_poll_alone_makes_every_change_known(shop: Shop, ada: Organization) -> None:
    first, second = shop.save_card(ada), shop.save_card(ada, "pm_card_mastercard")
    change: Any = {"card": {"exp_month": 3, "exp_year": 2039}}
    shop.api.payment_methods.update(first.stripe_id, change)
    shop.api.payment_methods.detach(second.stripe_id)

    events.poll()

    assert shown(ada) == [("visa", "4242", True)]
    first.refresh_from_db()
    assert (first.expires_year, first.expires_month) == (2039, 3)


def test_the_card_saved_last_is_charged_until_another_is_chosen(shop: Shop, ada: Organization) -> None:
    first = shop.save_card(ada)
    shop.save_card(ada, "pm_card_mastercard")
    by_itself = shown(ada)

    cards.choose(organization=ada, card_id=first.pk, by="user:1")
    cards.sync(ada)

    assert by_itself == [("mastercard", "4444", True), ("visa", "4242", False)]
    assert cards.default_of(ada) == first


def test_a_removed_card_is_gone_at_stripe_and_the_newest_other_takes_its_place(
    shop: Shop, ada: Organization
) -> None:
    first, second = shop.save_card(ada), shop.save_card(ada, "pm_card_mastercard")

    cards.remove(organization=ada, card_id=second.pk, by="user:1")

    assert shown(ada) == [("visa", "4242", True)]
    assert shop.api.payment_methods.retrieve(second.stripe_id).customer is None
    assert cards.default_of(ada) == first


def test_a_card_of_another_organization_can_be_neither_chosen_nor_removed(
    shop: Shop, ada: Organization
) -> None:
    card = shop.save_card(ada)
    bob = make_organization("bob@example.com")

    for act in (cards.choose, cards.remove):
        with pytest.raises(cards.UnknownCard):
            act(organization=bob, card_id=card.pk, by="user:2")

    assert shop.api.payment_methods.retrieve(card.stripe_id).customer is not None


def test_a_list_read_too_early_takes_no_card_away_and_brings_none_back(shop: Shop, ada: Organization) -> None:
    removed, kept = shop.save_card(ada), shop.save_card(ada, "pm_card_mastercard")
    customer = customers.customer_of(ada)
    cards.remove(organization=ada, card_id=removed.pk, by="user:1")
    early = [CardSeen(removed.stripe_id, "visa", "4242", 2034, 12, 1)]

    cards._apply(customer, early, cards._gone(customer, {removed.stripe_id}))

    assert list(cards.of(ada)) == [kept]


def test_without_a_card_left_the_automatic_top_up_is_off(shop: Shop, ada: Organization) -> None:
    card = shop.save_card(ada)
    switch_on(ada)

    cards.remove(organization=ada, card_id=card.pk, by="user:1")

    setting = AutoTopUp.objects.get()
    assert (setting.is_on, setting.is_notice_due) == (False, True)
    assert setting.last_error == "There is no saved card any more."


def test_a_customer_deleted_at_stripe_loses_its_cards_and_keeps_its_wallet(
    shop: Shop, ada: Organization, buy: Buy
) -> None:
    buy(1_000)
    shop.save_card(ada)
    switch_on(ada)
    gone = StripeCustomer.objects.get()
    shop.fake.order(f"customers/{gone.stripe_id}", method="DELETE")

    [told] = [each for each in stripe_events.since(0) if each.kind == "customer.deleted"]
    events.take(told)

    assert shown(ada) == []
    assert (AutoTopUp.objects.get().is_on, balance_cents(ada)) == (False, 1_000)
    assert buy(2_500).status == TopUpStatus.SUCCEEDED
    assert StripeCustomer.objects.get(deleted_at=None) != gone
    assert balance_cents(ada) == 3_500


def test_a_deletion_nobody_told_of_is_found_by_the_next_purchase(shop: Shop, ada: Organization) -> None:
    shop.save_card(ada)
    switch_on(ada)
    shop.fake.order(f"customers/{StripeCustomer.objects.get().stripe_id}", method="DELETE")

    paid = checkout.follow(shop.pay(ada, 1_000))

    assert paid.status == TopUpStatus.SUCCEEDED
    assert (shown(ada), AutoTopUp.objects.get().is_on) == ([], False)


def test_a_card_can_be_saved_after_the_customer_was_deleted(shop: Shop, ada: Organization) -> None:
    shop.save_card(ada)
    shop.fake.order(f"customers/{StripeCustomer.objects.get().stripe_id}", method="DELETE")

    save_on_stripes_page(shop, ada, cardNumber="5555 5555 5555 4444")
    cards.sync(ada)

    assert shown(ada) == [("mastercard", "4444", True)]


def test_while_stripe_is_away_cards_stay_as_they_were(shop: Shop, ada: Organization) -> None:
    shop.save_card(ada)
    shop.fake.order("faults", {"faults": [{"status": 503}]})

    with pytest.raises(StripeUnavailable):
        cards.sync(ada)

    assert shown(ada) == [("visa", "4242", True)]


def test_events_about_strangers_cards_change_nothing(shop: Shop, ada: Organization) -> None:
    stranger = shop.api.customers.create({})
    shop.api.payment_methods.attach("pm_card_visa", {"customer": stranger.id})

    events.poll()

    assert not PaymentMethod.objects.exists()


def test_the_customer_of_a_removed_card_is_read_from_what_it_was_before(
    shop: Shop, ada: Organization
) -> None:
    card = shop.save_card(ada)
    shop.api.payment_methods.detach(card.stripe_id)
    [event] = shop.api.events.list({"type": "payment_method.detached", "limit": 1}).data
    body = json.dumps(event.to_dict()).encode()

    [seen] = [each for each in stripe_events.since(0) if each.kind == "payment_method.detached"]

    assert b'"customer": null' in body
    assert seen.customer_id == StripeCustomer.objects.get().stripe_id


def test_a_saved_card_is_told_from_one_that_is_gone_or_another_s(shop: Shop, ada: Organization) -> None:
    card = shop.save_card(ada)
    mine = StripeCustomer.objects.get().stripe_id

    found = [
        stripe_cards.is_saved(card_id=card_id, customer_id=customer_id)
        for card_id, customer_id in (
            (card.stripe_id, mine),
            (card.stripe_id, "cus_other"),
            ("pm_none", mine),
        )
    ]

    assert found == [True, False, False]
    assert wallets.of(ada).balance_nano == 0
