"""The hosted page in a real browser: it looks like a checkout, asks no other host, and can be paid."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe
from playwright.sync_api import Browser, Page, expect

from tests.fakestripe.buying import IS_POOR, PAYS, start_checkout
from tests.fakestripe.running import RunningStripe
from tests.pages.browser import needed_browser, open_browser

_PHONE = 360


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a Chromium; without one the tests are skipped, but never in CI."""
    with open_browser(needed_browser()) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a page as wide as a telephone."""
    fresh = browser.new_page(viewport={"width": _PHONE, "height": 800})
    yield fresh
    fresh.close()


def test_a_customer_clicks_through_a_payment(
    fake: RunningStripe, client: stripe.StripeClient, page: Page
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    back = f"{fake.base_url}/healthz?session={{CHECKOUT_SESSION_ID}}"
    session = start_checkout(client, 1_050, success_url=back)

    page.goto(session.url or "")
    expect(page.locator("#total")).to_have_text("$10.50")
    width = page.evaluate("document.documentElement.scrollWidth")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Card number").fill(IS_POOR)
    page.get_by_label("Expiry").fill("12 / 34")
    page.get_by_label("CVC").fill("123")
    page.get_by_label("Name on card").fill("Ada Lovelace")
    page.get_by_role("button", name="Pay $10.50").click()
    expect(page.get_by_role("alert")).to_have_text("Your card has insufficient funds.")
    page.get_by_label("Card number").fill(PAYS)
    page.get_by_label("CVC").fill("123")
    page.get_by_role("button", name="Pay $10.50").click()
    page.wait_for_url(f"**/healthz?session={session.id}")

    assert width <= _PHONE
    assert all(url.startswith(fake.base_url) for url in asked), asked
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_a_customer_may_turn_back(fake: RunningStripe, client: stripe.StripeClient, page: Page) -> None:
    session = start_checkout(client, cancel_url=f"{fake.base_url}/healthz?turned=back")

    page.goto(session.url or "")
    page.get_by_role("link", name="Back without paying").click()
    page.wait_for_url("**/healthz?turned=back")

    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_a_customer_answers_the_bank(fake: RunningStripe, client: stripe.StripeClient, page: Page) -> None:
    intent = client.v1.payment_intents.create(
        {
            "amount": 700,
            "currency": "usd",
            "payment_method": "pm_card_authenticationRequired",
            "confirm": True,
            "return_url": f"{fake.base_url}/healthz",
        }
    )
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None

    page.goto(intent.next_action.redirect_to_url.url or "")
    page.get_by_role("button", name="Fail authentication").click()
    page.wait_for_url("**redirect_status=failed")

    after = client.v1.payment_intents.retrieve(intent.id)
    assert after.status == "requires_payment_method"
    assert after.last_payment_error is not None
    assert after.last_payment_error.code == "payment_intent_authentication_failure"
