"""Steps that several journeys take."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.fakestripe.buying import FILLED_IN

PASSWORD = "a long password of hers"


def newest_link(mails: Path) -> str:
    """Return the link of the newest mail."""
    newest = max(mails.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    found = re.search(r"https?://\S+", newest.read_text(encoding="utf-8"))
    assert found is not None
    return found[0]


def sign_up(page: Page, mails: Path, email: str) -> None:
    """Become a customer with a verified address, and stand on the dashboard."""
    page.goto("/accounts/signup/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Check your inbox")).to_be_visible()
    page.goto(newest_link(mails))
    page.get_by_role("button", name="Yes, verify it").click()
    page.wait_for_url("**/dashboard/")


def create_key(page: Page) -> str:
    """Create a key from the dashboard of someone who has none, and return to it with the secret."""
    page.get_by_role("link", name="Create a key").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Create key").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_role("link", name="open the dashboard").click()
    return secret


def pay_with(page: Page, number: str) -> None:
    """Fill in Stripe's page and pay."""
    for name in ("cardExpiry", "cardCvc", "billingName", "billingPostalCode"):
        page.locator(f"#{name}").fill(FILLED_IN[name])
    page.locator("#cardNumber").fill(number)
    page.locator("#pay").click()
