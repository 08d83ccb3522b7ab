"""What staff does to customers: after a page that says what will happen, with a reason, by the role that owns it."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts import announcements, keys
from accounts.keyring import Caller
from accounts.models import ApiKey, Organization, User
from billing import grants, holds, topups, wallets
from billing.models import WalletState
from fastanchor.lib.valkey import sync_client
from fastanchor.staff import freezing
from tests.billing.cast import make_organization
from tests.staff.customers_cast import DOLLAR, desk, text, told

pytestmark = pytest.mark.django_db
PLAN = {"plan": "payg", "requests_per_minute": "7", "tokens_per_minute": "", "concurrency": "0"}


@pytest.fixture(autouse=True)
def _one_factor(settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = False


@pytest.fixture
def alice(db: None) -> Organization:
    organization = make_organization()
    grants.grant(organization=organization, amount_nano=5 * DOLLAR, reason="Welcome", key="g", actor="x")
    return organization


@pytest.fixture
def secret(alice: Organization) -> tuple[ApiKey, str]:
    return keys.create(organization=alice, name="Laptop")


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is told to every process."""
    heard: list[str] = []
    monkeypatch.setattr(announcements, "organization_changed", heard.append)
    monkeypatch.setattr(announcements, "key_changed", heard.append)
    return heard


def address(name: str, organization: Organization, *more: str) -> str:
    return reverse(f"customer-{name}", args=[organization.pk, *more])


def caller(secret: tuple[ApiKey, str]) -> Caller:
    found = keys.load_caller([keys.newest_digest(secret[1])])
    assert found is not None
    return found


def confirm(browser: Client, where: str, **typed: str) -> Any:
    return browser.post(where, {**typed, "_confirm": "1"}, follow=True)


def test_plan_and_limits_are_shown_then_changed_announced_and_told(
    alice: Organization, announced: list[str]
) -> None:
    support, browser = desk("support")

    shown = text(browser.post(address("plan", alice), {**PLAN, "reason": "Grows"}))
    before = Organization.objects.get(pk=alice.pk).plan_id
    confirm(browser, address("plan", alice), **PLAN, reason="Grows")

    after = Organization.objects.get(pk=alice.pk)
    assert "What will be done" in shown
    assert "Pay-as-you-go" in shown
    assert (before, after.plan_id) == ("free", "payg")
    assert (after.requests_per_minute, after.tokens_per_minute, after.concurrency) == (7, None, 0)
    assert announced == [alice.pk, alice.pk]
    plan, limits = told("organization.plan_changed"), told("organization.limited")
    assert (plan.before["plan"], plan.after["plan"], plan.reason) == ("free", "payg", "Grows")
    assert limits.after["requests_per_minute"] == 7
    assert {plan.user_id, limits.user_id} == {support.pk}


def test_without_a_reason_nothing_is_done(alice: Organization, secret: tuple[ApiKey, str]) -> None:
    _, browser = desk("owner")

    for where, typed in (
        (address("plan", alice), PLAN),
        (address("freeze", alice), {}),
        (address("revoke", alice, secret[0].pk), {}),
    ):
        answer = browser.post(where, {**typed, "reason": " ", "_confirm": "1"})
        assert answer.status_code == 422, where

    alice.refresh_from_db()
    assert (alice.plan_id, alice.frozen_at, caller(secret).revoked) == ("free", None, False)


def test_a_frozen_customer_is_let_in_nowhere_and_goes_on_afterwards(
    alice: Organization, secret: tuple[ApiKey, str], announced: list[str]
) -> None:
    support, browser = desk("support")
    wallets.publish([wallets.of(alice)])

    browser.post(address("freeze", alice), {"reason": "Stolen card"})
    frozen, wallet = caller(secret), wallets.of(alice)
    known = holds.known_wallet(sync_client(), alice.pk)
    browser.post(address("unfreeze", alice), {"reason": "Was theirs"})

    assert (frozen.revoked, frozen.frozen) == (True, True)
    assert (wallet.state, wallet.spendable_nano) == (WalletState.FROZEN_FRAUD, 0)
    assert known is None or known.balance_nano == 0
    assert (caller(secret).revoked, wallets.of(alice).state) == (False, WalletState.ACTIVE)
    assert announced == [alice.pk, alice.pk]
    entry = told("organization.frozen")
    assert (entry.user_id, entry.reason) == (support.pk, "Stolen card")
    assert told("organization.unfrozen").reason == "Was theirs"


def test_a_revoked_key_of_a_frozen_customer_is_still_told_to_be_revoked(
    alice: Organization, secret: tuple[ApiKey, str]
) -> None:
    support, _ = desk("support")
    freezing.freeze(organization=alice, by=support, reason="r")
    keys.revoke(key=secret[0], by=support)

    assert (caller(secret).revoked, caller(secret).frozen) == (True, False)


def test_a_frozen_customer_reads_so_on_every_page_of_the_console(alice: Organization) -> None:
    support, _ = desk("support")
    Organization.objects.filter(pk=alice.pk).update(is_personal=True)
    owner = Client()
    owner.force_login(User.objects.get(email="alice@example.org"))
    pages = [reverse(name) for name in ("dashboard", "accounts:keys", "billing:overview", "settings:profile")]
    before = [text(owner.get(each)) for each in pages]

    freezing.freeze(organization=alice, by=support, reason="r")

    assert not any("This organization is frozen" in each for each in before)
    assert all("This organization is frozen" in text(owner.get(each)) for each in pages)


def test_a_key_is_revoked_with_its_reason(alice: Organization, secret: tuple[ApiKey, str]) -> None:
    support, browser = desk("support")
    where = address("revoke", alice, secret[0].pk)
    assert where in text(browser.get(reverse("customer", args=[alice.pk])))

    browser.post(where, {"reason": "Found on GitHub"})

    assert caller(secret).revoked
    entry = told("key.revoked")
    assert (entry.user_id, entry.reason) == (support.pk, "Found on GitHub")


def test_a_key_of_another_customer_is_not_found(alice: Organization, secret: tuple[ApiKey, str]) -> None:
    _, browser = desk("support")
    other = make_organization("bob@example.org")

    assert browser.post(address("revoke", other, secret[0].pk), {"reason": "r"}).status_code == 404
    assert not caller(secret).revoked


def test_mails_that_never_came_are_sent_again(alice: Organization) -> None:
    _, browser = desk("support")
    user = User.objects.get(email="alice@example.org")
    waiting = EmailAddress.objects.create(user=user, email=user.email, primary=True)
    topups.record_top_up(organization=alice, cents=1_000, key="t", actor="x")
    number = alice.invoices.get().pk

    browser.post(address("mail", alice), {"mail": f"verify:{waiting.pk}", "reason": "Spam folder"})
    browser.post(address("mail", alice), {"mail": "invoice", "reason": "Lost"})
    refused = browser.post(address("mail", alice), {"mail": "verify:0", "reason": "r"})

    assert [each.to for each in mail.outbox] == [[user.email], [user.email]]
    assert "confirm" in mail.outbox[0].body.lower()
    assert number in mail.outbox[1].subject
    assert number in mail.outbox[1].body
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("role", "refused"),
    [
        ("support", ["credit"]),
        ("finance", ["plan", "mail", "log-in-as"]),
        ("operations", ["plan", "mail", "log-in-as", "freeze", "unfreeze", "credit"]),
        ("catalog", ["plan", "mail", "log-in-as", "freeze", "unfreeze", "credit"]),
    ],
)
def test_each_action_belongs_to_some_roles(alice: Organization, role: str, refused: list[str]) -> None:
    _, browser = desk(role)
    every = ["plan", "mail", "log-in-as", "freeze", "unfreeze", "credit"]
    names = {"credit": "give"}

    got = {each: browser.get(address(names.get(each, each), alice)).status_code for each in every}

    assert got == {each: 403 if each in refused else 302 if each == "credit" else 200 for each in every}


def test_who_only_reads_has_no_buttons(alice: Organization, secret: tuple[ApiKey, str]) -> None:
    _, browser = desk("operations")

    page = text(browser.get(reverse("customer", args=[alice.pk])))

    assert "Laptop" in page
    assert "customer-actions" not in page
    assert "Revoke" not in page
