"""The page of saved cards, and what is set for when credit runs low."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Organization
from billing import auto_topups, cards, low_balance
from billing.models import AutoTopUp, LowBalanceAlert, PaymentMethod, TopUp
from billing.sync import sync
from tests.fakestripe.running import RunningStripe
from tests.pages.markup import faults, words
from tests.pages.stripe import Card, page_of

SETTINGS = {"auto-is_on": "on", "auto-threshold": "10", "auto-target": "$50.00", "auto-month_cap": "1,000"}


def shown(browser: Client, name: str) -> str:
    return words(browser.get(reverse(f"billing:{name}")).content.decode())


def test_a_card_saved_on_stripe_s_page_is_shown_with_brand_digits_and_expiry(card: Card) -> None:
    card.save()

    page = shown(card.browser, "cards")
    assert "Visa ending in 4242 For automatic top-ups 12/2034" in page
    assert faults(card.browser.get(reverse("billing:cards")).content.decode()) == []


def test_another_card_is_chosen_and_one_removed_by_the_page_s_buttons(card: Card) -> None:
    card.save()
    card.save(cardNumber="5555 5555 5555 4444")
    first, second = PaymentMethod.objects.order_by("pk")

    chosen = card.browser.post(reverse("billing:choose-card", args=[first.pk]), follow=True)
    removed = card.browser.post(reverse("billing:remove-card", args=[first.pk]), follow=True)

    assert "Visa ending in 4242 For automatic top-ups" in words(chosen.content.decode())
    page = words(removed.content.decode())
    assert "The card is removed." in page
    assert "Mastercard ending in 4444 For automatic top-ups" in page
    assert "4242" not in page
    assert list(PaymentMethod.objects.filter(removed_at=None)) == [second]


def test_only_the_page_of_cards_may_lead_to_stripe(card: Card) -> None:
    page = card.browser.get(reverse("billing:cards"))

    assert f"form-action 'self' {card.fake.base_url};" in page["Content-Security-Policy"]


def test_while_stripe_is_away_cards_are_shown_and_the_page_says_so(card: Card) -> None:
    saved = card.save()
    card.fake.order("faults", {"faults": [{"status": 503}]})

    asked = card.browser.post(reverse("billing:add-card"))
    back = card.browser.get(reverse("billing:cards"), {"added": "1"})
    removed = card.browser.post(reverse("billing:remove-card", args=[saved.pk]), follow=True)

    assert asked.status_code == 503
    for each in (asked, back, removed):
        page = words(each.content.decode())
        assert "does not answer just now" in page
        assert "Visa ending in 4242" in page


def test_without_a_key_of_stripe_no_card_can_be_saved(browser: Client, organization: Organization) -> None:
    page = shown(browser, "cards")

    assert "Cards cannot be saved here at the moment" in page
    assert browser.post(reverse("billing:add-card")).status_code == 503


def test_the_automatic_top_up_is_set_in_dollars_and_shown_as_it_stands(card: Card) -> None:
    card.save()

    sent = card.browser.post(reverse("billing:set-auto-top-up"), SETTINGS, follow=True)

    setting = AutoTopUp.objects.get()
    assert (setting.is_on, setting.threshold_cents) == (True, 1_000)
    assert (setting.target_cents, setting.month_cap_cents) == (5_000, 100_000)
    page = words(sent.content.decode())
    assert "Automatic top-up is on." in page
    assert "Charges Visa ending in 4242." in page
    assert "This month: $0.00 of at most $1,000.00." in page
    assert faults(sent.content.decode()) == []


def test_what_it_did_last_and_when_it_tries_again_is_shown(card: Card, organization: Organization) -> None:
    card.save(cardNumber="4000 0000 0000 0341")
    card.browser.post(reverse("billing:set-auto-top-up"), SETTINGS)

    auto_topups.consider(organization)
    page = shown(card.browser, "automatic")

    assert "The last charge was refused: Your card was declined." in page
    assert "Last: $50.00 on" in page
    assert "failed." in page
    assert "Next attempt: not before" in page


def test_a_limit_that_is_reached_is_told(card: Card, organization: Organization) -> None:
    card.save()
    card.browser.post(reverse("billing:set-auto-top-up"), {**SETTINGS, "auto-month_cap": "50"})
    auto_topups.consider(organization)
    AutoTopUp.objects.update(threshold_cents=6_000, target_cents=9_000)

    auto_topups.consider(organization)

    page = shown(card.browser, "automatic")
    assert "This month: $50.00 of at most $50.00." in page
    assert "for this month’s limit is reached" in page


def test_one_that_stripe_has_not_answered_is_said_to_be_charged(
    card: Card, organization: Organization
) -> None:
    top_up = TopUp.objects.create(
        organization=organization, amount_cents=4_000, source="auto", actor="system", card=card.save()
    )

    page = words(card.browser.get(page_of(top_up)).content.decode())

    assert "$40.00 is being charged" in page
    assert "closed Stripe" not in page


def test_why_it_is_off_and_what_to_do_is_shown(card: Card, organization: Organization) -> None:
    card.save(cardNumber="4000 0000 0000 0341")
    card.browser.post(reverse("billing:set-auto-top-up"), SETTINGS)
    cards.remove(organization=organization, card_id=PaymentMethod.objects.get().pk, by="user:1")

    page = shown(card.browser, "automatic")

    assert "It was switched off. There is no saved card any more. Add credit yourself" in page
    assert "Automatic top-up Off" in page


def test_while_a_bank_disputes_a_payment_it_is_said_to_be_paused_and_after_a_loss_why_it_is_off(
    card: Card, organization: Organization
) -> None:
    top_up, _ = card.buy("20"), card.save()
    card.browser.post(reverse("billing:set-auto-top-up"), SETTINGS)
    made = card.fake.order("disputes", {"payment_intent": top_up.stripe_intent, "kind": "fraudulent"})
    sync(top_up.stripe_intent or "")

    disputed = words(card.browser.get(reverse("billing:automatic")).content.decode())
    card.fake.order(f"disputes/{made['id']}", {"status": "lost"})
    sync(top_up.stripe_intent or "")
    lost = words(card.browser.get(reverse("billing:automatic")).content.decode())

    assert "Paused: a bank disputes a payment of yours" in disputed
    assert "It was switched off. A bank has taken back a payment of yours for good." in lost
    assert "Paused" not in lost


def test_without_a_card_it_cannot_be_switched_on(browser: Client, organization: Organization) -> None:
    response = browser.post(reverse("billing:set-auto-top-up"), SETTINGS)

    assert response.status_code == 422
    assert "Save a card first" in words(response.content.decode())
    assert not AutoTopUp.objects.exists()


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [
        ("threshold", "ten", "Write dollars and cents in digits"),
        ("threshold", "", "This field is required"),
        ("threshold", "0.99", "Write an amount from $1.00 to $10,000.00"),
        ("target", "14.99", "$5.00 or more above the balance"),
        ("target", "10000.01", "Write an amount from"),
        ("month_cap", "4.99", "Write an amount from $5.00 to $100,000.00"),
        ("month_cap", "1e9", "Write dollars and cents in digits"),
        ("month_cap", "-5", "Write dollars and cents in digits"),
    ],
)
def test_what_makes_no_sense_is_told_at_its_field_and_changes_nothing(
    browser: Client, organization: Organization, name: str, typed: str, told: str
) -> None:
    response = browser.post(reverse("billing:set-auto-top-up"), {**SETTINGS, f"auto-{name}": typed})

    assert response.status_code == 422
    assert told in words(response.content.decode())
    assert name in response.context["auto_form"].errors
    assert faults(response.content.decode()) == []
    assert not AutoTopUp.objects.exists()


@pytest.mark.parametrize(("typed", "cents"), [("25", 2_500), ("0", 0), ("$7.50", 750)])
def test_the_mail_about_a_low_balance_is_set_in_dollars(
    browser: Client, organization: Organization, typed: str, cents: int
) -> None:
    browser.post(reverse("billing:set-low-balance"), {"low-threshold": typed})

    assert low_balance.threshold_of(organization) == cents
    shown = browser.get(reverse("billing:automatic")).content.decode()
    assert f'value="{cents // 100}.{cents % 100:02d}"' in shown


def test_no_amount_is_no_threshold(browser: Client, organization: Organization) -> None:
    response = browser.post(reverse("billing:set-low-balance"), {"low-threshold": "little"})

    assert response.status_code == 422
    assert not LowBalanceAlert.objects.exists()


def test_a_deleted_customer_s_cards_are_gone_from_the_page(card: Card, stripe: RunningStripe) -> None:
    card.save()
    customer = PaymentMethod.objects.get().customer.stripe_id
    stripe.order(f"customers/{customer}", method="DELETE")

    card.save(cardNumber="5555 5555 5555 4444")
    page = shown(card.browser, "cards")

    assert "Mastercard ending in 4444" in page
    assert "4242" not in page
