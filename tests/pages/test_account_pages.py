from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.pages.markup import faults, words

OPEN = ["account_login", "account_signup", "account_reset_password", "account_reset_password_done",
        "account_email_verification_sent", "account_inactive",
        "account_reset_password_from_key_done"]  # fmt: skip
SIGNED_IN = ["account_logout", "account_email", "account_change_password", "account_reauthenticate"]


@pytest.mark.parametrize("name", OPEN)
def test_pages_before_the_login_look_like_ours(client: Client, db: None, name: str) -> None:
    html = client.get(reverse(name)).content.decode()

    assert faults(html) == []
    assert 'class="brand"' in html


@pytest.mark.parametrize("name", SIGNED_IN)
def test_pages_of_an_account_look_like_ours(browser: Client, name: str) -> None:
    response = browser.get(reverse(name))

    assert response.status_code == 200
    assert faults(response.content.decode()) == []
    assert 'class="brand"' in response.content.decode()


def test_the_way_from_sign_up_to_the_dashboard(client: Client, db: None) -> None:
    signed_up = client.post(
        reverse("account_signup"),
        {"email": "dora@example.com", "password1": "a long password of dora"},
        follow=True,
    )
    assert "Check your inbox" in words(signed_up.content.decode())

    [message] = mail.outbox
    assert message.subject == "Welcome to FastAnchor: verify your email address"
    found = re.search(r"http://testserver(/\S+)", str(message.body))
    assert found is not None
    asked = client.get(found[1]).content.decode()
    assert "Is dora@example.com yours?" in words(asked)
    assert faults(asked) == []

    verified = client.post(found[1], follow=True)
    assert verified.redirect_chain[-1][0] == reverse("dashboard")
    assert "Available $5.00" in words(verified.content.decode())
    assert "dora@example.com is verified." in words(verified.content.decode())


def test_the_way_to_a_new_password(client: Client, ada: User) -> None:
    client.post(reverse("account_reset_password"), {"email": ada.email})
    found = re.search(r"http://testserver(/\S+)", str(mail.outbox[0].body))
    assert found is not None
    form = client.get(found[1], follow=True)
    assert faults(form.content.decode()) == []

    changed = client.post(
        form.redirect_chain[-1][0],
        {"password1": "another long password", "password2": "another long password"},
        follow=True,
    )

    assert "Your password is changed" in words(changed.content.decode())
    assert client.login(email=ada.email, password="another long password")


@pytest.mark.parametrize("path", ["/accounts/confirm-email/gone/", "/accounts/password/reset/key/1-gone/"])
def test_a_dead_link_says_how_to_get_a_new_one(client: Client, db: None, path: str) -> None:
    html = client.get(path, follow=True).content.decode()

    assert "This link no longer works" in words(html)
    assert faults(html) == []


def test_a_wrong_password_is_told_next_to_the_form(client: Client, ada: User) -> None:
    html = client.post(reverse("account_login"), {"login": ada.email, "password": "wrong"}).content.decode()

    assert 'role="alert"' in html
    assert faults(html) == []


def test_a_sign_up_with_a_taken_address_tells_only_its_owner(client: Client, ada: User) -> None:
    taken = client.post(
        reverse("account_signup"), {"email": ada.email, "password1": "a long password of eve"}, follow=True
    )

    assert "Check your inbox" in words(taken.content.decode())
    assert mail.outbox[0].to == [ada.email]
    assert mail.outbox[0].subject == "You already have an account"


def test_an_unknown_address_gets_a_mail_and_the_page_says_nothing(client: Client, db: None) -> None:
    page = client.post(reverse("account_reset_password"), {"email": "nobody@example.com"}, follow=True)

    assert "If an account belongs to this address" in words(page.content.decode())
    assert mail.outbox[0].subject == "There is no account for this address"


def test_logging_in_and_out_leads_to_the_right_pages(client: Client, ada: User) -> None:
    entered = client.post(
        reverse("account_login"), {"login": ada.email, "password": "a long password of ada"}
    )
    left = client.post(reverse("account_logout"), follow=True)

    assert entered["Location"] == reverse("dashboard")
    assert left.redirect_chain == [(reverse("home"), 302)]
    assert "You are logged out." in words(left.content.decode())
