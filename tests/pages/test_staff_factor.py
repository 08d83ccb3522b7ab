"""Nobody enters the admin by a password alone, stays there idle, or changes something on a desk left unlocked."""

from __future__ import annotations

import time

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts import people
from accounts.audit_entry import AuditEntry
from accounts.models import Plan, User
from accounts.stamps import SEEN
from tests.pages.test_security_pages import code_of, set_up_app

PASSWORD = "a long password of ada"
PLAN = {
    "code": "payg", "name": "Pay-as-you-go", "requests_per_minute": 7, "tokens_per_minute": 9, "concurrency": 5,
    "priority": 10, "signup_credit_nano": 0, "reason": "They grow",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _forced(settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = True
    cache.clear()


@pytest.fixture
def root(transactional_db: None) -> User:
    """Return a member of staff; allauth tells of a second factor once it is committed."""
    return people.ensure_verified(email="root@example.com", password=PASSWORD, is_staff=True)


def logged_in(user: User) -> Client:
    """Return a browser in which somebody typed the password, and nothing else."""
    browser = Client()
    browser.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    return browser


def admin_pages() -> list[str]:
    names = (
        "index",
        "accounts_user_changelist",
        "billing_wallet_changelist",
        "catalog_channel_add",
        "logout",
        "jsi18n",
    )
    return [reverse(f"admin:{name}") for name in names]


def test_without_a_second_factor_every_page_of_the_admin_leads_to_setting_one_up(root: User) -> None:
    browser = logged_in(root)

    for page in admin_pages():
        for answer in (browser.get(page), browser.post(page)):
            assert (answer.status_code, answer["Location"]) == (302, reverse("mfa_index")), page


def test_who_has_set_one_up_is_let_in_at_once(root: User) -> None:
    browser = logged_in(root)

    set_up_app(browser)

    assert browser.get(reverse("admin:index")).status_code == 200
    assert AuditEntry.objects.filter(what="factor.added", user_id=root.pk).exists()


def test_a_session_from_before_proves_the_factor_first(root: User) -> None:
    elsewhere = logged_in(root)
    secret, _ = set_up_app(logged_in(root))

    answer = elsewhere.get(reverse("admin:index"))
    assert answer["Location"].startswith(reverse("mfa_reauthenticate"))
    elsewhere.post(answer["Location"], {"code": code_of(secret, step=1)})

    assert elsewhere.get(reverse("admin:index")).status_code == 200


def test_a_log_in_with_password_and_code_opens_the_admin(root: User) -> None:
    secret, _ = set_up_app(logged_in(root))
    browser = logged_in(root)
    assert browser.get(reverse("admin:index"))["Location"].startswith(reverse("admin:login"))

    browser.post(reverse("mfa_authenticate"), {"code": code_of(secret, step=1)})

    assert browser.get(reverse("admin:index")).status_code == 200


def test_recovery_codes_alone_are_no_second_factor(root: User) -> None:
    Authenticator.objects.create(user=root, type=Authenticator.Type.RECOVERY_CODES, data={})

    assert logged_in(root).get(reverse("admin:index"))["Location"] == reverse("mfa_index")


def test_a_change_asks_for_the_password_again_and_is_then_made(root: User, settings: Settings) -> None:
    browser = logged_in(root)
    set_up_app(browser)
    page = reverse("admin:accounts_plan_change", args=["payg"])
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0

    asked = browser.post(page, PLAN)

    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    assert Plan.objects.get(pk="payg").requests_per_minute == 500
    browser.post(asked["Location"], {"password": PASSWORD})
    assert Plan.objects.get(pk="payg").requests_per_minute == 7


def test_a_session_of_staff_that_is_left_alone_ends_and_that_of_a_customer_does_not(
    root: User, ada: User
) -> None:
    staff, customer = logged_in(root), logged_in(ada)
    for browser in (staff, customer):
        session = browser.session
        session[SEEN] = int(time.time()) - 31 * 60
        session.save()

    assert staff.get(reverse("dashboard")).status_code == 302
    assert customer.get(reverse("dashboard")).status_code == 200


def test_customers_are_not_asked_for_one(ada: User) -> None:
    assert logged_in(ada).get(reverse("admin:index"))["Location"].startswith(reverse("admin:login"))
