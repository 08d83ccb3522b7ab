from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, Organization
from billing import aside, ledger, opening, posting, refund_offers, wallets
from billing.models import Refund, RefundStatus, TopUp
from billing.sync import sync
from tests.fakestripe.running import RunningStripe
from tests.pages.markup import words
from tests.pages.stripe import Card, page_of
from tests.pages.usage import serve

DOLLAR = 1_000_000_000


def ask(card: Card, top_up: TopUp, cents: int) -> str:
    """Confirm a refund of so much, and return the page that follows."""
    answer = card.browser.post(
        reverse("billing:refund", args=[top_up.pk]), {"cents": str(cents)}, follow=True
    )
    return words(answer.content.decode())


def spend(organization: Organization, key: ApiKey, nano: int) -> None:
    serve(organization, key, cost_nano=nano, cost_picos=nano * 1_000, hold_nano=nano)


def test_the_page_of_a_top_up_states_the_rule_and_what_is_unused(
    card: Card, organization: Organization, key: ApiKey
) -> None:
    top_up = card.buy("10")
    spend(organization, key, 3 * DOLLAR + 1)

    page = words(card.browser.get(page_of(top_up)).content.decode())

    assert "Within 24 hours of a payment you can have its unused credit back, on the card that paid." in page
    assert "$6.99 of this top-up are unused." in page
    assert "Get $6.99 back" in page


def test_unused_credit_goes_back_to_the_card_and_out_of_the_balance(
    card: Card, organization: Organization, key: ApiKey
) -> None:
    top_up = card.buy("10")
    spend(organization, key, 3 * DOLLAR + 1)
    asked = words(card.browser.get(reverse("billing:refund", args=[top_up.pk])).content.decode())

    page = ask(card, top_up, 699)

    assert "Get $6.99 back?" in asked
    assert "$6.99 is on its way back to your card" in page
    assert "Nothing of this top-up is left to pay back." in page
    refund = Refund.objects.get()
    assert (refund.amount_cents, refund.status) == (699, RefundStatus.SUCCEEDED)
    assert card.fake.client().v1.refunds.retrieve(refund.stripe_id or "").amount == 699
    assert wallets.of(organization).balance_nano == 10_000_000 - 1
    assert re.search(r"Refund [-0-9: ]+ -\$6\.990000 000 \$0\.009999 999", all_lines(card.browser))


def all_lines(browser: Client) -> str:
    posting.post_usage()
    return words(browser.get(reverse("billing:transactions")).content.decode())


def test_a_day_later_nothing_is_offered_and_nothing_is_paid_back(
    card: Card, organization: Organization
) -> None:
    top_up = card.buy("10")
    later = timezone.now() + refund_offers.WINDOW

    offer = refund_offers.offer(top_up, at=later)

    assert (offer.cents, offer.is_open) == (1_000, False)
    assert refund_offers.offer(top_up, at=later - timedelta(seconds=60)).is_open
    with pytest.raises(refund_offers.NotOffered):
        refund_offers.accept(top_up=top_up, cents=1_000, actor="user:1", at=later)
    assert ledger.credit_of(organization) == 10 * DOLLAR


def test_what_was_used_since_the_question_is_asked_about_again(
    card: Card, organization: Organization, key: ApiKey
) -> None:
    top_up = card.buy("10")
    spend(organization, key, DOLLAR)

    page = ask(card, top_up, 1_000)

    assert "Some of this credit was used in the meantime" in page
    assert "Get $9.00 back?" in page
    assert not Refund.objects.exists()


def test_credit_that_running_requests_hold_is_not_paid_back(card: Card, organization: Organization) -> None:
    top_up = card.buy("10")
    opening.open_organization(organization.pk)
    aside.set_aside(organization_id=organization.pk, name="req_running", amount_nano=DOLLAR)

    page = ask(card, top_up, 1_000)

    assert "Running requests hold this credit. Nothing was changed" in page
    assert not Refund.objects.exists()
    assert wallets.of(organization).balance_nano == 10 * DOLLAR


def test_a_refund_that_stripe_could_not_be_told_of_waits_and_the_page_says_so(
    card: Card, organization: Organization
) -> None:
    top_up = card.buy("10")
    card.fake.order("faults", {"faults": [{"status": 503}]})

    page = ask(card, top_up, 1_000)

    assert "Your $10.00 are set aside. Stripe does not answer just now" in page
    assert "Waiting for Stripe" in page
    assert wallets.of(organization).balance_nano == 0


def test_a_refund_that_stripe_refuses_is_back_in_the_balance(card: Card, organization: Organization) -> None:
    top_up = card.buy("10")
    card.fake.client().v1.refunds.create({"payment_intent": top_up.stripe_intent or ""})

    page = ask(card, top_up, 1_000)

    assert "Stripe refused the refund. The $10.00 are in your balance again" in page


def test_a_top_up_that_was_not_paid_has_nothing_to_give_back(card: Card, stripe: RunningStripe) -> None:
    top_up, _ = card.begin("10")

    answer = card.browser.get(reverse("billing:refund", args=[top_up.pk]), follow=True)

    assert answer.redirect_chain == [(page_of(top_up), 302)]
    assert "Nothing of this top-up can be paid back now." in words(answer.content.decode())


def test_nobody_gets_back_what_is_disputed(card: Card) -> None:
    top_up = card.buy("10")
    card.fake.order("disputes", {"payment_intent": top_up.stripe_intent})
    sync(top_up.stripe_intent or "")

    page = words(card.browser.get(page_of(top_up)).content.decode())

    assert "Nothing of this top-up is left to pay back." in page
