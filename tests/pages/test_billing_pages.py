from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import ApiKey, Organization
from bench.pages import MOST_QUERIES
from billing import grants, ledger, topups, wallets
from billing.models import TopUp, TopUpStatus, WalletState
from tests.fakestripe.buying import IS_POOR, fill_in
from tests.fakestripe.running import RunningStripe
from tests.pages.markup import faults, words
from tests.pages.stripe import Card, page_of
from tests.pages.usage import serve


def shown(browser: Client, name: str = "billing:overview", *arguments: str) -> str:
    return words(browser.get(reverse(name, args=arguments)).content.decode())


def test_the_overview_shows_the_balance_and_what_can_be_bought(
    browser: Client, organization: Organization, stripe: RunningStripe
) -> None:
    grants.grant_signup_credit(organization=organization)

    page = shown(browser)

    assert "Available $5.00" in page
    assert re.search(r"Promotional credit \$5\.00 part of the balance, expires \d{4}-\d\d-\d\d", page)
    assert "Pay $10.00 Pay $25.00 Pay $50.00 Pay $100.00" in page
    assert "we add no fee" in page
    assert "Sign-up credit" in page


def test_without_a_key_of_stripe_the_page_says_so_and_offers_nothing(
    browser: Client, organization: Organization
) -> None:
    response = browser.get(reverse("billing:overview"))
    asked = browser.post(reverse("billing:start-top-up"), {"amount": "10"})

    assert "Credit cannot be bought here at the moment" in words(response.content.decode())
    assert reverse("billing:start-top-up") not in response.content.decode()
    assert asked.status_code == 503
    assert not TopUp.objects.exists()


@pytest.mark.parametrize(
    ("amount", "cents"),
    [("10", 1_000), ("$12.34", 1_234), ("5", 500), ("10,000.00", 1_000_000), (" 7.5 ", 750)],
)
def test_an_amount_leads_to_stripe_s_page_for_exactly_that_amount(
    card: Card, amount: str, cents: int
) -> None:
    top_up, url = card.begin(amount)

    assert (top_up.amount_cents, top_up.status) == (cents, TopUpStatus.OPEN)
    assert url.startswith(card.fake.base_url)
    assert f"${cents // 100:,}.{cents % 100:02d}" in card.fake.browser.get(url).text


@pytest.mark.parametrize(
    "amount", ["", "4.99", "10000.01", "12.345", "1e3", "-10", "١٢", "12.34.5", "ten", "1,00"]
)
def test_any_other_amount_is_refused_at_its_field_and_nothing_is_begun(
    browser: Client, organization: Organization, stripe: RunningStripe, amount: str
) -> None:
    response = browser.post(reverse("billing:start-top-up"), {"amount": amount})

    assert response.status_code == 422
    assert response.context["form"].errors["amount"]
    assert not TopUp.objects.exists()
    assert faults(response.content.decode()) == []


def test_while_stripe_is_away_nothing_is_charged_and_the_page_says_so(
    browser: Client, organization: Organization, stripe: RunningStripe
) -> None:
    stripe.order("faults", {"faults": [{"status": 503}]})

    response = browser.post(reverse("billing:start-top-up"), {"amount": "10"})

    assert response.status_code == 503
    assert "Nothing was charged and nothing is lost" in words(response.content.decode())
    assert "under way" not in words(response.content.decode())


def test_stripe_is_not_kept_busy_by_one_organization(
    browser: Client, organization: Organization, stripe: RunningStripe
) -> None:
    for _ in range(20):
        TopUp.objects.create(organization=organization, amount_cents=1_000, source="checkout", status="open")

    response = browser.post(reverse("billing:start-top-up"), {"amount": "10"})

    assert response.status_code == 429
    assert "Many top-ups were begun in the last hour" in words(response.content.decode())
    assert TopUp.objects.count() == 20


def test_only_the_page_with_the_form_may_lead_to_stripe_and_only_there(
    browser: Client, organization: Organization, settings: Settings
) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_none"
    overview, other = (
        browser.get(reverse(name))["Content-Security-Policy"]
        for name in ("billing:overview", "billing:transactions")
    )
    settings.STRIPE_API_BASE = "http://127.0.0.1:8003"
    faked = browser.get(reverse("billing:overview"))["Content-Security-Policy"]

    assert "form-action 'self' https://checkout.stripe.com;" in overview
    assert "form-action 'self' http://127.0.0.1:8003;" in faked
    assert "form-action 'self';" in other


@pytest.mark.parametrize(
    ("state", "balance", "said"),
    [
        (WalletState.FROZEN_DISPUTE, -1, "A bank has taken back a payment of yours"),
        (WalletState.FROZEN_FRAUD, 5, "Your credit is frozen"),
        (WalletState.ACTIVE, -1, "New credit pays that first."),
    ],
)
def test_a_balance_that_cannot_be_spent_says_why(
    browser: Client, organization: Organization, state: WalletState, balance: int, said: str
) -> None:
    wallet = wallets.of(organization)
    wallets.change(wallet, balance_by=balance)
    wallets.turn(wallet, state)

    assert said in shown(browser)


def test_whoever_comes_back_paid_sees_the_credit_at_once(card: Card) -> None:
    top_up = card.pay("10")

    page = words(card.browser.get(page_of(top_up)).content.decode())

    assert "Paid $10.00 of credit added" in page
    assert "Available now: $10.00 ." in page
    assert "Available $10.00" in shown(card.browser)


def test_looking_twice_credits_once(card: Card, organization: Organization) -> None:
    top_up = card.buy("10")

    card.browser.get(page_of(top_up))

    assert ledger.credit_of(organization) == 10_000_000_000


def test_whoever_has_not_paid_yet_sees_a_page_that_looks_again_by_itself(card: Card) -> None:
    top_up, url = card.begin("10")
    refused = fill_in(card.fake, url, 1_000, cardNumber=IS_POOR)
    assert refused.status_code == 402

    html = card.browser.get(page_of(top_up)).content.decode()

    assert '<meta http-equiv="refresh" content="3">' in html
    assert "$10.00 is not paid yet" in words(html)
    assert "The last try was refused: Your card has insufficient funds." in words(html)
    assert page_of(top_up) in card.browser.get(reverse("billing:overview")).content.decode()


def test_whoever_has_left_stripe_s_page_finds_it_again(card: Card) -> None:
    top_up, url = card.begin("10")
    resume = reverse("billing:resume-top-up", args=[top_up.pk])
    assert resume in card.browser.get(page_of(top_up)).content.decode()

    response = card.browser.get(resume)

    assert (response.status_code, response["Location"]) == (303, url)


@pytest.mark.parametrize("is_paid", [True, False])
def test_a_page_of_stripe_that_is_closed_is_not_opened_again(card: Card, *, is_paid: bool) -> None:
    top_up = card.buy("10") if is_paid else card.begin("10")[0]
    card.fake.order("clock", {"advance_s": 3_700})

    response = card.browser.get(reverse("billing:resume-top-up", args=[top_up.pk]))

    assert (response.status_code, response["Location"]) == (302, page_of(top_up))


def test_leaving_stripe_s_page_leads_back_with_a_word(card: Card) -> None:
    _, url = card.begin("10")
    found = re.search(r'id="cancel" href="http://testserver([^"]+)"', card.fake.browser.get(url).text)
    assert found is not None

    page = words(card.browser.get(found[1]).content.decode())

    assert "You came back from Stripe without paying: nothing was charged." in page


def test_a_page_that_nobody_paid_at_expires(card: Card) -> None:
    top_up, _ = card.begin("10")
    card.fake.order("clock", {"advance_s": 3_700})

    html = card.browser.get(page_of(top_up)).content.decode()

    assert "The top-up of $10.00 was not paid" in words(html)
    assert "refresh" not in html


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (TopUpStatus.PROCESSING, "Your bank takes some days"),
        (TopUpStatus.FAILED, "Do not honor. Nothing was charged. Try another card"),
        (TopUpStatus.MISMATCHED, "A person looks at it; nothing is lost"),
    ],
)
def test_each_state_says_what_to_do(
    browser: Client, organization: Organization, status: TopUpStatus, said: str
) -> None:
    top_up = TopUp.objects.create(
        organization=organization,
        amount_cents=1_000,
        source="checkout",
        status=status,
        failure="Do not honor.",
    )

    html = browser.get(page_of(top_up)).content.decode()

    assert said in words(html)
    assert faults(html) == []


def test_while_stripe_is_away_the_page_of_a_top_up_shows_what_is_known(card: Card) -> None:
    top_up = card.pay("10")
    card.fake.order("faults", {"faults": [{"status": 503}]})

    page = words(card.browser.get(page_of(top_up)).content.decode())

    assert "Stripe does not answer just now" in page
    assert "$10.00 is not paid yet" in page


def test_transactions_are_listed_with_the_balance_after_each(card: Card, organization: Organization) -> None:
    grants.grant_signup_credit(organization=organization)
    top_up = card.buy("10")

    html = card.browser.get(reverse("billing:transactions")).content.decode()

    page = words(html)
    assert re.search(r"Top-up [-0-9: ]+ \+\$10\.000000 000 \$15\.000000 000", page)
    assert re.search(r"Sign-up credit [-0-9: ]+ \+\$5\.000000 000 \$5\.000000 000", page)
    assert page.index("Top-up") < page.index("Sign-up credit")
    assert f'href="{page_of(top_up)}"' in html


def test_usage_that_is_not_booked_yet_is_told(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    serve(organization, key)

    assert "$0.000347 500 of usage of the last minutes" in shown(browser, "billing:transactions")


def test_transactions_are_paged_and_a_page_costs_few_queries(
    browser: Client, organization: Organization, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(52):
        topups.record_top_up(
            organization=organization, cents=100 + number, key=f"paid-{number}", actor="test"
        )

    with django_assert_max_num_queries(MOST_QUERIES):
        first = browser.get(reverse("billing:transactions")).context
    second = browser.get(reverse("billing:transactions"), {"page": "2"}).context

    assert [line.amount_nano // 10_000_000 for line in first["lines"]] == list(range(151, 101, -1))
    assert [line.balance_nano // 10_000_000 for line in second["lines"]] == [201, 100]


@pytest.mark.parametrize("month", ["2026-13", "x", "1999-01", "9999-12", "0000-00"])
def test_a_month_that_is_none_shows_one_that_is(
    browser: Client, organization: Organization, month: str
) -> None:
    response = browser.get(reverse("billing:transactions"), {"month": month})

    assert response.status_code == 200
    assert response.context["older"] is response.context["newer"] is None


def test_every_page_is_plain_and_nobody_keeps_a_copy(card: Card) -> None:
    top_up = card.buy("10")
    paths = [
        reverse("billing:overview"),
        reverse("billing:transactions"),
        reverse("billing:statements"),
        page_of(top_up),
        reverse("billing:refund", args=[top_up.pk]),
    ]

    for path in paths:
        response = card.browser.get(path)
        assert response.status_code == 200, path
        assert faults(response.content.decode()) == [], path
        assert "no-store" in response["Cache-Control"]


def test_the_dashboard_and_the_menu_lead_to_billing(browser: Client, organization: Organization) -> None:
    html = browser.get(reverse("dashboard")).content.decode()

    target = f'href="{reverse("billing:overview")}"'
    assert f'<a class="side-link" {target}' in html
    assert f"<a {target}>Add credit" in html
