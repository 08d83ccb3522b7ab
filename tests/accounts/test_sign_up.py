from __future__ import annotations

import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts import organizations
from accounts.models import Organization, User

PASSWORD = "correct horse battery"


def sign_up(browser: Client, email: str) -> str:
    """Fill in the form and return where it leads."""
    response = browser.post(reverse("account_signup"), {"email": email, "password1": PASSWORD})
    assert response.status_code == 302, response.context["form"].errors
    return str(response["Location"])


def confirm(browser: Client) -> str:
    """Open the link of the last mail, press its button and return where it leads."""
    link = re.search(r"http://testserver(\S+)", str(mail.outbox[-1].body))
    assert link
    page = browser.get(link[1])
    assert page.status_code == 200, "opening a link must not confirm it: mail scanners open links"
    return str(browser.post(link[1])["Location"])


@pytest.mark.django_db
def test_sign_up_mail_confirmation_and_login_lead_to_a_personal_organization(client: Client) -> None:
    assert sign_up(client, "Ada@Example.com") == reverse("account_email_verification_sent")
    assert not EmailAddress.objects.get().verified
    assert client.get(reverse("accounts:keys")).status_code == 302

    assert confirm(client) == reverse("dashboard")

    user = User.objects.get()
    assert user.email == "ada@example.com"
    assert EmailAddress.objects.get().verified
    assert client.session["_auth_user_id"] == str(user.pk)
    organization = Organization.objects.get()
    assert organizations.of_user(user) == organization
    assert (organization.name, organization.is_personal, organization.plan_id) == ("ada", True, "free")


@pytest.mark.django_db
def test_who_has_not_confirmed_the_address_cannot_log_in(client: Client) -> None:
    sign_up(client, "ada@example.com")
    elsewhere = Client()

    response = elsewhere.post(reverse("account_login"), {"login": "ada@example.com", "password": PASSWORD})

    assert response["Location"] == reverse("account_email_verification_sent")
    assert elsewhere.get(reverse("accounts:keys")).status_code == 302


@pytest.mark.django_db
def test_signing_up_twice_tells_the_mailbox_and_not_the_stranger(client: Client, ada: User) -> None:
    assert sign_up(client, "ADA@example.com") == reverse("account_email_verification_sent")

    assert User.objects.count() == Organization.objects.count() == 1
    assert mail.outbox[-1].to == ["ada@example.com"]
    assert client.get(reverse("accounts:keys")).status_code == 302


@pytest.mark.django_db
def test_an_address_longer_than_its_column_is_refused_and_not_cut(client: Client) -> None:
    response = client.post(
        reverse("account_signup"), {"email": f"{'a' * 243}@example.com", "password1": PASSWORD}
    )

    assert "at most 254 characters" in str(response.context["form"].errors["email"])
    assert not User.objects.exists()
    sign_up(client, f"{'a' * 242}@example.com")


@pytest.mark.django_db
def test_a_user_is_never_saved_without_an_organization(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(organizations, "create_personal", fails)

    with pytest.raises(ConnectionError):
        sign_up(client, "ada@example.com")

    assert not User.objects.exists()


def test_a_new_installation_has_no_account(db: None) -> None:
    assert not User.objects.exists()


@pytest.fixture
def has_password(ada: User) -> None:
    ada.set_password(PASSWORD)
    ada.save()


def test_a_login_in_any_case_and_a_logout(client: Client, has_password: None) -> None:
    response = client.post(reverse("account_login"), {"login": "ADA@example.com", "password": PASSWORD})
    assert response["Location"] == reverse("dashboard")

    client.post(reverse("account_logout"))

    assert "_auth_user_id" not in client.session


def test_a_forgotten_password_is_set_anew_by_mail(client: Client, ada: User) -> None:
    client.post(reverse("account_reset_password"), {"email": "ada@example.com"})
    link = re.search(r"http://testserver(\S+)", str(mail.outbox[-1].body))
    assert link
    form = client.get(link[1])["Location"]

    client.post(form, {"password1": "another staple chair", "password2": "another staple chair"})

    ada.refresh_from_db()
    assert ada.check_password("another staple chair")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_login_leads_to_no_other_site(client: Client, has_password: None, elsewhere: str) -> None:
    told = {"login": "ada@example.com", "password": PASSWORD, "next": elsewhere}

    assert client.post(reverse("account_login"), told)["Location"] == reverse("dashboard")


def test_guessing_passwords_is_slowed_down(client: Client, has_password: None) -> None:
    wrong = {"login": "ada@example.com", "password": "wrong"}
    for _ in range(10):
        client.post(reverse("account_login"), wrong)

    response = client.post(reverse("account_login"), {**wrong, "password": PASSWORD})

    assert "_auth_user_id" not in client.session
    assert "Location" not in response


@pytest.mark.parametrize("password", ["qwerty123456", "short", "grace@example.com"])
def test_a_password_that_others_guess_is_refused(client: Client, db: None, password: str) -> None:
    told = {"email": "grace@example.com", "password1": password}

    refused = client.post(reverse("account_signup"), told)

    assert refused.status_code == 200
    assert refused.context["form"].errors["password1"]
    assert not User.objects.exists()
