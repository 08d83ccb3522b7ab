"""An account in a real browser: second factors, passkeys on a virtual authenticator, and its deletion."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from allauth.mfa.totp.internal.auth import hotp_value
from playwright.sync_api import Browser, Page, expect

from tests.pages.live.journeys import PASSWORD, create_key, sign_up

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def named(chromium: Browser, site: str) -> Iterator[Page]:
    """Return a page of the site under its name: there are no passkeys under a number."""
    context = chromium.new_context(base_url=site.replace("127.0.0.1", "localhost"))
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert complaints == []


def confirm(page: Page) -> None:
    """Enter the password once more."""
    expect(page.get_by_role("heading", name="Is it still you?")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def log_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are logged out.")).to_be_visible()


def log_in(page: Page, email: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def test_an_authenticator_app_is_set_up_and_asked_for_and_a_recovery_code_helps_out(
    page: Page, mails: Path
) -> None:
    sign_up(page, mails, "kai@example.com")
    page.goto("/settings/")
    page.get_by_role("navigation", name="Section").get_by_role("link", name="Security").click()
    page.get_by_role("link", name="Set up").click()
    confirm(page)
    picture = page.get_by_role("img", name=re.compile("QR code"))
    assert picture.evaluate("image => image.naturalWidth") > 0
    secret = page.locator("#totp-secret").inner_text()
    code = f"{hotp_value(secret, int(time.time()) // 30):06d}"
    page.get_by_label("Authenticator code").fill(code)
    page.get_by_role("button", name="Switch on").click()
    first = page.locator("#recovery-codes").inner_text().split()[0]
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_text("10 left")).to_be_visible()
    log_out(page)

    log_in(page, "kai@example.com")
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/dashboard/")
    log_out(page)
    log_in(page, "kai@example.com")
    page.get_by_label("Code").fill(first)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/dashboard/")


def test_a_passkey_is_added_and_logs_in_without_a_password(named: Page, mails: Path) -> None:
    cdp = named.context.new_cdp_session(named)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    added = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_up(named, mails, "lea@example.com")
    named.goto("/accounts/2fa/")
    named.get_by_role("link", name="Add a passkey").click()
    confirm(named)
    named.get_by_label("Name").fill("Laptop")
    named.get_by_role("button", name="Add passkey").click()
    named.get_by_role("link", name="I have saved them").click()
    named.get_by_role("link", name="Manage", exact=True).click()
    expect(named.get_by_role("link", name="Rename “Laptop”")).to_be_visible()
    log_out(named)

    named.goto("/accounts/login/")
    named.get_by_role("button", name="Log in with a passkey").click()

    named.wait_for_url("**/dashboard/")
    log_out(named)
    log_in(named, "lea@example.com")
    named.get_by_role("button", name="Use a passkey or security key").click()
    named.wait_for_url("**/dashboard/")
    log_out(named)
    cdp.send(
        "WebAuthn.setUserVerified", {"authenticatorId": added["authenticatorId"], "isUserVerified": False}
    )
    named.goto("/accounts/login/")
    named.get_by_role("button", name="Log in with a passkey").click()
    expect(named.get_by_role("alert")).to_contain_text("It was cancelled")


def test_an_account_is_deleted(page: Page, mails: Path) -> None:
    sign_up(page, mails, "mia@example.com")
    create_key(page)
    page.goto("/settings/delete/")
    expect(page.get_by_role("main")).to_contain_text(re.compile(r"Promotional, lapses\s*\$5\.00"))
    page.get_by_label("Now. Nothing cancels it.").check()
    page.get_by_label("Name of the organization").fill("mia")
    page.get_by_role("button", name="Delete my account").click()
    confirm(page)

    expect(page.get_by_text("Your account is being deleted.")).to_be_visible()
    newest = max(mails.iterdir(), key=lambda path: path.stat().st_mtime_ns).read_text(encoding="utf-8")
    assert "Subject: Your account is being deleted" in newest
    log_in(page, "mia@example.com")
    expect(page.get_by_role("heading", name="This account is closed")).to_be_visible()
