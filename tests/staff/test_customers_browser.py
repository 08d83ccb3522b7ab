"""Staff at work on customers in a real browser, each by the role that owns the job, without a script and under the pages' own policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Page, ViewportSize
from pytest_django.live_server_helper import LiveServer

from accounts import keys, organizations, people
from accounts.models import Organization
from accounts.organization_note import OrganizationNote
from billing import wallets
from tests.pages.browser import needed_browser, open_browser
from tests.staff.customers_cast import desk, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
PHONE = ViewportSize(width=390, height=844)
# What is wider than the page, and does not scroll by itself.
_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((part) => part.getBoundingClientRect().right > innerWidth + 1 && !part.parentElement.closest(".customer-table"))
  .map((part) => `${part.tagName} ${part.className} ${part.id}`)"""


@pytest.fixture(autouse=True)
def _one_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "STAFF_SECOND_FACTOR", False)


@pytest.fixture
def alice(transactional_db: None) -> Organization:
    organization = organizations.of_user(people.ensure_verified(email="alice@example.org"))
    keys.create(organization=organization, name="Laptop")
    wallets.of(organization)
    return organization


@contextmanager
def at_desks(
    live_server: LiveServer, *whose: tuple[str, str], has_script: bool = False
) -> Iterator[list[Page]]:
    """Open a phone for each member of staff, by role and name; nothing asks the database while the browser runs."""
    name = settings.SESSION_COOKIE_NAME
    cookies = [desk(*each)[1].cookies[name].value for each in whose]
    with open_browser(needed_browser()) as browser:
        contexts = [
            browser.new_context(base_url=live_server.url, viewport=PHONE, java_script_enabled=has_script)
            for _ in cookies
        ]
        for context, cookie in zip(contexts, cookies, strict=True):
            context.add_cookies([{"name": name, "value": cookie, "url": live_server.url}])
        yield [context.new_page() for context in contexts]
        for context in contexts:
            context.close()


def test_support_finds_a_customer_notes_freezes_and_looks(
    live_server: LiveServer, alice: Organization
) -> None:
    with at_desks(live_server, ("support", "")) as (page,):
        page.goto(reverse("customers"))
        page.get_by_label("Find a customer").fill("alice@example.org")
        page.get_by_role("button", name="Search").click()
        page.get_by_label("New note").fill("Called about taxes")
        page.get_by_role("button", name="Write it").click()
        page.get_by_role("link", name="Freeze", exact=True).click()
        page.get_by_label("Reason").fill("Stolen card")
        page.get_by_role("button", name="Freeze").click()
        frozen = page.get_by_text("This organization is frozen").is_visible()
        page.get_by_role("link", name="Log in as").click()
        page.get_by_label("Reason").fill("Ticket 7")
        page.get_by_role("button", name="Log in as this member").click()
        seen = page.get_by_role("heading", name=alice.name).is_visible()
        banner = page.get_by_label("Logged in as a customer")
        told_to = banner.is_visible()
        page.goto(reverse("settings:organization"))
        page.locator("main form button").first.click()
        refused = page.get_by_text("You are only looking").is_visible()
        banner.get_by_role("button", name="End").click()
        url = page.url

    assert (frozen, seen, told_to, refused) == (True, True, True, True)
    assert url.endswith(reverse("customer", args=[alice.pk]))
    assert OrganizationNote.objects.get().text == "Called about taxes"
    assert told("organization.frozen").reason == "Stolen card"
    assert alice.api_keys.count() == 1


def test_two_of_finance_give_more_than_one_may(live_server: LiveServer, alice: Organization) -> None:
    with at_desks(live_server, ("finance", "ada"), ("finance", "ben")) as (ada, ben):
        ada.goto(reverse("customer", args=[alice.pk]))
        ada.get_by_role("link", name="Give credit").click()
        ada.get_by_label("Amount in US dollars").fill("250")
        ada.get_by_label("Reason").fill("Outage")
        ada.get_by_role("button", name="Show what will be booked").click()
        ada.get_by_role("button", name="Propose it to a second person").click()
        own = ada.get_by_role("link", name="Approve").count()
        ben.goto(reverse("customer", args=[alice.pk]))
        ben.get_by_role("link", name=re.compile("^prop_")).click()
        ben.get_by_role("link", name="Approve").click()
        ben.get_by_label("Reason").fill("Checked")
        ben.get_by_role("button", name="Show what will be booked").click()
        ben.get_by_role("button", name="Book it").click()

    assert own == 0
    assert wallets.of(alice).balance_nano == 250_000_000_000


def test_the_page_fits_a_phone_and_its_policy(live_server: LiveServer, alice: Organization) -> None:
    faults: list[str] = []
    with at_desks(live_server, ("owner", ""), has_script=True) as (page,):
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        for path in (reverse("customers"), reverse("customer", args=[alice.pk])):
            page.goto(path)
            faults += page.evaluate(_WIDE)

    assert faults == []
