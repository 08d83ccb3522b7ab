"""The pages in a real browser, against the whole product."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from openai import OpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam
from playwright.sync_api import Browser, Page, expect

from tests.fakestripe.buying import IS_POOR, PAYS
from tests.live.product import LiveProduct
from tests.live.stripe import LiveStripe
from tests.pages.live.journeys import create_key, pay_with, sign_up
from tests.pages.pdf import text_of

EMAIL = "dora@example.com"

pytestmark = pytest.mark.timeout(180)


def cost_of(usage: CompletionUsage) -> str:
    """Return what gpt-4o's tokens cost by the price list, as the page writes it."""
    cached = (usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens) or 0
    picos = (
        (usage.prompt_tokens - cached) * 2_500_000 + cached * 1_250_000 + usage.completion_tokens * 10_000_000
    )
    assert picos % 1_000 == 0
    return f"$0.{picos // 1_000:09d}"


def test_from_sign_up_to_a_request_that_arrives_by_itself(
    page: Page, product: LiveProduct, mails: Path
) -> None:
    sign_up(page, mails, EMAIL)
    expect(page.locator("#balance")).to_contain_text("$5.00")
    secret = create_key(page)
    expect(page.locator("#live-state")).to_have_text("Live")
    page.evaluate("window.isSamePage = true")

    with OpenAI(base_url=product.base_url, api_key=secret, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hello!"}]
        )

    assert answer.usage is not None
    row = page.locator("#requests tr")
    expect(row).to_have_count(1)
    expect(row.locator(".request-model")).to_have_text("gpt-4o")
    expect(row.locator(".request-key")).to_have_text("Laptop")
    expect(row.locator(".request-cost")).to_have_text(cost_of(answer.usage))
    expect(page.locator("#today")).to_contain_text(f"{answer.usage.prompt_tokens} in")
    expect(page.locator("#requests-empty")).to_be_hidden()
    assert page.evaluate("window.isSamePage")


def test_an_open_dashboard_does_not_hold_up_a_logout_elsewhere(page: Page, mails: Path) -> None:
    sign_up(page, mails, "emil@example.com")
    other = page.context.new_page()
    other.goto("/accounts/logout/")

    other.get_by_role("main").get_by_role("button", name="Log out").click()

    expect(other.get_by_text("You are logged out.")).to_be_visible()
    page.reload()
    assert "/accounts/login/" in page.url


def test_a_copy_button_copies_what_the_eye_sees(page: Page, site: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/docs/quickstart/")

    page.get_by_role("button", name="Copy").first.click()

    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{site}v1"


def test_a_chosen_language_holds_for_all_examples_and_for_the_next_page(page: Page) -> None:
    page.goto("/docs/quickstart/")

    page.get_by_role("radio", name="Python").first.check()

    assert page.locator("[data-language=python]:visible").count() == 3
    page.goto("/")
    expect(page.locator("[data-language=python]")).to_be_visible()


def test_the_pages_work_without_script(chromium: Browser, site: str) -> None:
    context = chromium.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")

    page.get_by_role("radio", name="JavaScript").check()

    expect(page.locator("[data-language=javascript]")).to_be_visible()
    expect(page.locator("[data-language=curl]")).to_be_hidden()
    assert page.locator(".copy:visible").count() == 0
    context.close()


def test_credit_is_bought_with_the_second_card_and_seen_at_once(
    page: Page, live_stripe: LiveStripe, mails: Path
) -> None:
    sign_up(page, mails, "gus@example.com")
    page.get_by_role("navigation").get_by_role("link", name="Billing").click()
    page.get_by_role("button", name="Pay $10.00").click()
    page.wait_for_url(f"{live_stripe.base_url}/**")

    pay_with(page, IS_POOR)
    expect(page.locator("#error")).to_contain_text("insufficient funds")
    pay_with(page, PAYS)
    page.wait_for_url("**/billing/top-ups/**")

    expect(page.get_by_role("heading", name="$10.00 of credit added")).to_be_visible(timeout=2_000)
    expect(page.get_by_role("main")).to_contain_text("Available now: $15.00")
    with page.expect_download() as download:
        page.get_by_role("link", name="Receipt as PDF").click()
    assert "Total paid in US dollars $10.00" in text_of(download.value.path().read_bytes())
    page.goto("/billing/")
    expect(page.locator("#balance")).to_contain_text("Available$15.00")
    exported = page.request.get("/billing/transactions.csv").text()
    assert [line.split(",")[1:5] for line in exported.splitlines()[1:]] == [
        ["signup", "Sign-up credit", "5.000000000", "5.000000000"],
        ["top_up", "Top-up", "10.000000000", "15.000000000"],
    ]


def test_a_card_is_saved_on_stripe_s_page_listed_and_removed(
    page: Page, live_stripe: LiveStripe, mails: Path
) -> None:
    sign_up(page, mails, "ira@example.com")
    page.goto("/billing/")
    page.get_by_role("link", name="Cards", exact=True).click()
    expect(page.get_by_text("No card is saved.")).to_be_visible()

    page.get_by_role("button", name="Save a card").click()
    page.wait_for_url(f"{live_stripe.base_url}/**")
    expect(page.get_by_text("No charge today")).to_be_visible()
    pay_with(page, IS_POOR)
    expect(page.locator("#error")).to_contain_text("insufficient funds")
    pay_with(page, PAYS)
    page.wait_for_url("**/billing/cards/**")

    row = page.get_by_role("row", name="Visa ending in 4242")
    expect(row).to_contain_text("For automatic top-ups")
    expect(row).to_contain_text("12/2034")
    page.goto("/billing/automatic/")
    expect(page.get_by_text("Charges Visa ending in 4242.")).to_be_visible()
    page.goto("/billing/cards/")
    page.get_by_role("button", name="Remove the card ending in 4242").click()
    expect(page.get_by_text("The card is removed.")).to_be_visible()
    expect(page.get_by_text("No card is saved.")).to_be_visible()


def test_billing_details_stand_on_the_invoice_of_the_next_top_up(
    page: Page, live_stripe: LiveStripe, mails: Path
) -> None:
    sign_up(page, mails, "jan@example.com")
    page.goto("/billing/")
    page.get_by_role("link", name="Billing details", exact=True).click()
    page.get_by_label("Company or full name").fill("Łódź Anchor <b> Sp. z o.o.")
    page.get_by_label("Address", exact=True).fill("ul. Portowa 1")
    page.get_by_label("City").fill("Łódź")
    page.get_by_label("Country").select_option("PL")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Kind").select_option("eu_vat")
    page.get_by_label("Number").fill("PL 123")
    page.get_by_role("button", name="Add tax id").click()
    expect(page.get_by_text("That is no EU VAT number")).to_be_visible()
    page.get_by_label("Number").fill("pl 123-456-32-18")
    page.get_by_role("button", name="Add tax id").click()
    expect(page.locator("#tax-ids strong")).to_have_text("PL1234563218")

    page.goto("/billing/")
    page.get_by_role("button", name="Pay $25.00").click()
    page.wait_for_url(f"{live_stripe.base_url}/**")
    expect(page.locator("#taxId")).to_have_count(0)
    pay_with(page, PAYS)
    page.wait_for_url("**/billing/top-ups/**")
    with page.expect_download() as download:
        page.get_by_role("link", name="Invoice as PDF").click()

    text = text_of(download.value.path().read_bytes())
    assert re.search(r"Invoice FA-\d{4}-\d{6} ", text)
    buyer = "Customer Łódź Anchor <b> Sp. z o.o. ul. Portowa 1 Łódź Poland EU VAT number PL1234563218"
    assert f"{buyer} Customer number" in text
    assert "Tax: none is charged $0.00 Total $25.00" in text
    page.goto("/billing/invoices/")
    expect(page.get_by_role("row", name=re.compile(r"FA-\d{4}-\d{6}"))).to_contain_text("$25.00")


def test_while_stripe_is_away_the_page_says_so_and_requests_are_served(
    page: Page, product: LiveProduct, live_stripe: LiveStripe, mails: Path
) -> None:
    sign_up(page, mails, "ida@example.com")
    secret = create_key(page)
    live_stripe.order("faults", {"faults": [{"status": 503}]})
    try:
        page.goto("/billing/")
        page.get_by_role("button", name="Pay $10.00").click()

        expect(page.get_by_text("Nothing was charged and nothing is lost")).to_be_visible(timeout=30_000)
        with OpenAI(base_url=product.base_url, api_key=secret, max_retries=0) as client:
            for _ in range(5):
                asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello!"}]
                assert client.chat.completions.create(model="gpt-4o", messages=asked).choices
    finally:
        live_stripe.order("faults", {"faults": []})


def test_own_amounts_can_be_bought_and_left_without_script(
    chromium: Browser, page: Page, mails: Path
) -> None:
    sign_up(page, mails, "hal@example.com")
    context = chromium.new_context(
        base_url=page.url, java_script_enabled=False, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    plain.goto("/billing/")

    plain.get_by_label("Another amount").fill("12.34")
    plain.get_by_role("button", name="Pay this amount").click()
    expect(plain.locator("#total")).to_have_text("$12.34")
    plain.locator("#cancel").click()

    expect(plain.get_by_text("You came back from Stripe without paying")).to_be_visible()
    context.close()
