"""Staff looks at a customer's pages as the customer sees them: announced, for half an hour, told in the log, and read-only."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts import kept_contents, keys, organizations, people
from accounts.audit_entry import AuditEntry
from accounts.contents import Content
from accounts.models import ApiKey, Membership, Organization, Role, User
from tests.pages.test_security_pages import set_up_app
from tests.pages.test_staff_factor import PASSWORD, logged_in
from tests.pages.urlmap import addresses
from tests.pages.usage import serve
from tests.staff.customers_cast import desk, text, told

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _one_factor(settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


@pytest.fixture
def alice(db: None) -> User:
    return people.ensure_verified(email="alice@example.org", password=PASSWORD)


@pytest.fixture
def organization(alice: User) -> Organization:
    return organizations.of_user(alice)


def enter(browser: Client, organization: Organization, user: User, reason: str = "Ticket 7") -> Any:
    where = reverse("customer-log-in-as", args=[organization.pk])
    return browser.post(where, {"member": user.pk, "reason": reason})


def leave(browser: Client) -> Any:
    return browser.post(reverse("end-log-in-as"))


def test_staff_sees_what_the_customer_sees_under_a_banner_and_is_oneself_afterwards(
    alice: User, organization: Organization
) -> None:
    support, browser = desk("support")

    begun = enter(browser, organization, alice)
    inside = text(browser.get(reverse("dashboard")))
    ended = leave(browser)
    outside = browser.get(ended["Location"])

    assert begun["Location"] == reverse("dashboard")
    assert f"<h1>{organization.name}</h1>" in inside
    assert f"<strong>{support.email}</strong> looks at this as <strong>{alice.email}</strong>" in inside
    assert f'action="{reverse("end-log-in-as")}"' in inside
    assert ended["Location"] == reverse("customer", args=[organization.pk])
    assert outside.wsgi_request.user == support
    assert "looks at this as" not in text(browser.get(reverse("dashboard")))
    entry = told("login_as.begun")
    assert (entry.user_id, entry.subject, entry.reason) == (
        support.pk, f"user {alice.pk}", "Ticket 7",
    )  # fmt: skip
    assert (told("login_as.ended").user_id, told("login_as.ended").after["how"]) == (support.pk, "ended")


def test_nothing_can_be_changed(alice: User, organization: Organization) -> None:
    _, browser = desk("support")
    enter(browser, organization, alice)
    before = ApiKey.objects.count()

    for address in addresses():
        if address.parameters or address.name == "end-log-in-as":
            continue
        answer = browser.post(reverse(address.name), {"name": "Mine"})
        assert answer.status_code == 403, address.name
    for method in ("put", "patch", "delete", "options", "trace"):
        assert getattr(browser, method)(reverse("settings:profile")).status_code == 403, method

    assert ApiKey.objects.count() == before
    assert "You are only looking" in text(browser.post(reverse("accounts:create-key")))


def test_what_is_secret_or_about_the_own_security_is_not_shown(
    alice: User, organization: Organization
) -> None:
    _, browser = desk("support")
    enter(browser, organization, alice)
    hidden = [
        "mfa_index", "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "account_email", "account_logout",
        "account_change_password", "account_reauthenticate", "settings:sessions", "settings:data-export",
        "settings:delete", "settings:provider-keys", "playground", "playground-key", "live", "activity-live",
        "billing:cards", "billing:details",
    ]  # fmt: skip

    assert {name: browser.get(reverse(name)).status_code for name in hidden} == dict.fromkeys(hidden, 403)


def test_words_of_prompts_and_answers_stay_the_customer_s(
    alice: User, organization: Organization, settings: Settings
) -> None:
    key, _ = keys.create(organization=organization, name="Laptop")
    request_id = serve(organization, key).request_id
    organization.contents_days = 1
    organization.save()
    asked = b'{"prompt": "a secret plan"}'
    kept_contents.save(Content(request_id, organization.pk, asked, b"{}"), until=time.time() + 60)
    _, staff = desk("support")
    own = Client()
    own.force_login(alice)
    page = reverse("request", args=[request_id])
    enter(staff, organization, alice)

    seen, shown = text(own.get(page)), text(staff.get(page))

    assert "a secret plan" in seen
    assert request_id in shown
    assert "a secret plan" not in shown


def test_nothing_of_the_customer_s_sessions_is_touched(alice: User, organization: Organization) -> None:
    _, browser = desk("support")
    own = logged_in(alice)
    own.get(reverse("dashboard"))
    alice.refresh_from_db()
    before = (
        alice.last_login,
        list(UserSession.objects.filter(user=alice).values("session_key", "last_seen_at", "ip")),
        Session.objects.count(),
    )

    enter(browser, organization, alice)
    browser.get(reverse("dashboard"))
    leave(browser)

    alice.refresh_from_db()
    after = (
        alice.last_login,
        list(UserSession.objects.filter(user=alice).values("session_key", "last_seen_at", "ip")),
        Session.objects.count(),
    )
    assert after == before
    assert own.get(reverse("dashboard")).status_code == 200


def test_half_an_hour_is_the_most(
    alice: User, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    support, browser = desk("support")
    enter(browser, organization, alice)
    now = time.time()
    monkeypatch.setattr("accounts.log_in_as.time.time", lambda: now + 29 * 60)
    still = browser.get(reverse("dashboard"))
    monkeypatch.setattr("accounts.log_in_as.time.time", lambda: now + 30 * 60)

    over = browser.get(reverse("dashboard"))

    assert still.wsgi_request.user == alice
    assert over["Location"] == reverse("admin:index")
    assert browser.get(reverse("dashboard")).wsgi_request.user == support
    assert told("login_as.ended").after["how"] == "time over"


def test_nobody_enters_the_account_of_staff_or_a_second_one(alice: User, organization: Organization) -> None:
    _, browser = desk("support")
    clerk, _ = desk("finance")
    Membership.objects.create(user=clerk, organization=organization, role=Role.MEMBER)
    ben = people.ensure_verified(email="ben@example.org")
    Membership.objects.create(user=ben, organization=organization, role=Role.MEMBER)

    staff = enter(browser, organization, clerk)
    enter(browser, organization, alice)
    second = enter(browser, organization, ben)

    assert (staff.status_code, second.status_code) == (422, 422)
    assert "End that first" in text(second)
    assert browser.get(reverse("dashboard")).wsgi_request.user == alice
    assert AuditEntry.objects.filter(what="login_as.begun").count() == 1


def test_a_stranger_to_the_organization_cannot_be_chosen(organization: Organization) -> None:
    _, browser = desk("support")

    assert enter(browser, organization, people.ensure_verified(email="cleo@example.org")).status_code == 422


@pytest.mark.parametrize("what", ["permission", "staff", "customer became staff", "customer inactive"])
def test_it_ends_when_either_is_no_longer_what_they_were(
    alice: User, organization: Organization, what: str
) -> None:
    support, browser = desk("support")
    enter(browser, organization, alice)
    if what == "permission":
        support.groups.clear()
    elif what == "staff":
        User.objects.filter(pk=support.pk).update(is_staff=False)
    else:
        changed = {"is_staff": True} if what == "customer became staff" else {"is_active": False}
        User.objects.filter(pk=alice.pk).update(**changed)

    answer = browser.get(reverse("dashboard"))

    assert answer.status_code == 302
    assert browser.get(reverse("dashboard")).wsgi_request.user == support


def test_logging_out_ends_it_in_the_log_too(alice: User, organization: Organization) -> None:
    _, browser = desk("support")
    enter(browser, organization, alice)

    browser.post(reverse("admin:logout"))

    assert told("login_as.ended").after["how"] == "logged out"


def test_only_who_has_begun_can_end(alice: User) -> None:
    strangers = Client(), Client()
    strangers[1].force_login(alice)

    for browser in strangers:
        assert leave(browser).status_code == 404
    assert browser.get(reverse("end-log-in-as")).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_the_second_factor_of_the_session_is_proven_still(settings: Settings) -> None:
    alice = people.ensure_verified(email="alice@example.org")
    organization = organizations.of_user(alice)
    settings.STAFF_SECOND_FACTOR = True
    root = people.ensure_verified(email="root@example.com", password=PASSWORD, is_staff=True)
    browser = logged_in(root)
    set_up_app(browser)
    key = browser.session.session_key

    enter(browser, organization, alice)
    inside = browser.get(reverse("dashboard")).wsgi_request.user
    leave(browser)

    assert inside == alice
    assert browser.get(reverse("admin:index")).status_code == 200
    assert browser.session.session_key == key
