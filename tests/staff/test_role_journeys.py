"""One job of each role, done in a browser by whom it belongs to, and refused to everybody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts import organizations, people
from accounts.audit_entry import AuditEntry
from accounts.models import Organization, User
from billing.models import Wallet
from catalog.channels import add_channel
from catalog.models import Channel, Price, Provider
from tests.pages.browser import needed_browser, open_browser
from tests.staff.conftest import ROLES

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
Desk = Callable[[str], Client]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_browser(needed_browser()) as browser:
        yield browser


@pytest.fixture(scope="module", autouse=True)
def _database_beside_a_browser() -> Iterator[None]:
    # The browser's client keeps an event loop in this thread, in which nothing of the database runs.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture
def at_desk(desk: Desk, chromium: Browser, live_server: LiveServer) -> Iterator[Callable[[str], Page]]:
    """Open the browser of a member of staff, already logged in."""
    context = chromium.new_context(base_url=live_server.url)
    page = context.new_page()

    def sit(role: str) -> Page:
        token = desk(role).cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": token, "url": live_server.url}])
        return page

    yield sit
    context.close()


@pytest.fixture
def ada(transactional_db: None) -> User:
    return people.ensure_verified(email="ada@example.com")


@pytest.fixture
def organization(ada: User) -> Organization:
    return organizations.of_user(ada)


def refused(desk: Desk, role: str, path: str, form: dict[str, object]) -> None:
    """Everybody but one role is refused the page and what it sends."""
    # An owner may do what any role may.
    for other in set(ROLES) - {role, "owner"}:
        browser = desk(other)
        assert browser.get(path).status_code == 403, (other, path)
        assert browser.post(path, form).status_code == 403, (other, path)


def test_support_deletes_a_lost_second_factor(at_desk: Callable[[str], Page], desk: Desk, ada: User) -> None:
    factor = Authenticator.objects.create(user=ada, type="totp", data={})
    path = reverse("admin:mfa_authenticator_delete", args=[factor.pk])
    refused(desk, "support", path, {"post": "yes", "reason": "Lost"})
    page = at_desk("support")

    page.goto(reverse("admin:mfa_authenticator_changelist") + "?q=ada@")
    page.get_by_role("link", name="ada@example.com").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Reason").fill("Passport seen in a call")
    page.get_by_role("button", name="Delete").click()

    expect(page.get_by_text("was deleted successfully")).to_be_visible()
    assert not Authenticator.objects.exists()
    assert AuditEntry.objects.get(what="authenticator.deleted").reason == "Passport seen in a call"


def test_finance_gives_five_dollars(
    at_desk: Callable[[str], Page], desk: Desk, organization: Organization
) -> None:
    Wallet.objects.get_or_create(organization=organization)
    before = Wallet.objects.get(organization=organization).balance_nano
    path = reverse("admin:billing_wallet_give", args=[organization.pk.replace("_", "_5F", 1)])
    refused(desk, "finance", path, {"amount": "5", "reason": "Sorry"})
    page = at_desk("finance")

    page.goto(path)
    page.get_by_label("Amount").fill("5")
    page.get_by_label("Reason").fill("An hour of trouble")
    page.get_by_role("button", name="Show what will be booked").click()
    page.locator("[name=_confirm]").click()

    expect(page.get_by_text("Booked as journal")).to_be_visible()
    assert Wallet.objects.get(organization=organization).balance_nano - before == 5_000_000_000
    assert AuditEntry.objects.get(what="money.adjustment").reason == "An hour of trouble"


def test_catalog_adds_a_price(at_desk: Callable[[str], Page], desk: Desk) -> None:
    call_command("load_catalog", verbosity=0)
    known = Price.objects.count()
    path = reverse("admin:catalog_price_add") + "?model=gpt-4o"
    refused(desk, "catalog", path, {"model": "gpt-4o", "reason": "Cheaper"})
    page = at_desk("catalog")

    page.goto(path)
    for name, rate in {"input": "2", "cached_input": "1", "cache_write": "2", "output": "8"}.items():
        page.locator(f"[name=tiers-0-{name}]").fill(rate)
    page.locator("#id_reason").fill("Their list of today")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Add the price").click()

    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert Price.objects.count() == known + 1
    assert AuditEntry.objects.filter(reason="Their list of today").count() == 1


def test_operations_disables_a_channel_with_a_reason(at_desk: Callable[[str], Page], desk: Desk) -> None:
    provider = Provider.objects.create(slug="acme", name="Acme", base_url="https://acme.example/v1")
    channel = add_channel(
        channel=Channel(provider=provider, base_url=provider.base_url, name="east"),
        credential="sk-acme-0123456",
    )
    path = reverse("admin:catalog_channel_changelist")
    chosen = {"action": "disable", "_selected_action": channel.pk, "reason": "Slow"}
    for role in set(ROLES) - {"operations", "owner"}:
        desk(role).post(path, chosen)
    assert Channel.objects.get().is_enabled
    page = at_desk("operations")

    page.goto(path)
    page.locator("input.action-select").check()
    page.locator("select[name=action]").select_option("disable")
    page.locator(".actions [name=reason]").fill("Answers late")
    page.locator(".actions button[name=index]").click()

    expect(page.get_by_text("1 channels disabled")).to_be_visible()
    assert Channel.objects.get().disabled_reason == "Answers late"
    assert AuditEntry.objects.get(what="channel.disabled").reason == "Answers late"


def test_an_owner_gives_somebody_a_role(at_desk: Callable[[str], Page], desk: Desk, ada: User) -> None:
    path = reverse("admin:accounts_user_change", args=[ada.pk])
    form = {"is_active": "on", "is_staff": "on", "reason": "Hired"}
    for role in set(ROLES) - {"owner"}:
        desk(role).post(path, form)
    assert not User.objects.get(pk=ada.pk).is_staff
    page = at_desk("owner")

    page.goto(path)
    page.locator("[name=is_staff]").check()
    page.get_by_label("support", exact=True).check()
    page.locator("#id_reason").fill("Hired for support")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("was changed successfully")).to_be_visible()
    assert User.objects.get(pk=ada.pk).groups.get().name == "support"
    entry = AuditEntry.objects.filter(what="user.changed").latest("pk")
    assert (entry.reason, entry.after["groups"]) == ("Hired for support", ["support"])
