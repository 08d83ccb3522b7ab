"""Free credit goes to people, once: not to mailboxes of ten minutes, whole networks, or those who come back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone

from accounts import emails, leaving, organizations, people
from accounts.models import Organization
from billing import grants, wallets
from billing.models import Journal, JournalKind
from fastanchor.lib.networks import neighbourhood

HERE = "93.184.216.0/24"


def newcomer(number: int) -> Organization:
    return organizations.of_user(people.ensure_verified(email=f"person{number}@example.com"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@gmail.com", "A.D.A+new@googlemail.com"),
        ("ada@example.com", "ADA+1@Example.COM"),
        ("ada@example.com", " ada@example.com "),
    ],
)
def test_spellings_of_one_mailbox_have_one_mark(one: str, other: str) -> None:
    assert emails.mark(one) == emails.mark(other)
    assert emails.mark(one) != emails.mark("ben@gmail.com")


def test_a_mark_cannot_be_guessed_without_our_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = emails.mark("ada@example.com")

    monkeypatch.setattr("django.conf.settings.SECRET_KEY", "another" * 10)

    assert emails.mark("ada@example.com") != before


@pytest.mark.parametrize(
    "domain", ["mailinator.com", "inbox.Mailinator.com", "yopmail.fr", "sharklasers.com."]
)
def test_a_mailbox_of_ten_minutes_gets_none(db: None, domain: str) -> None:
    organization = organizations.of_user(people.ensure_verified(email=f"ada@{domain.rstrip('.')}"))

    with pytest.raises(grants.Disposable):
        grants.grant_signup_credit(organization=organization)

    assert wallets.of(organization).balance_nano == 0


@pytest.mark.parametrize("email", ["ada@notmailinator.com", "ada@gmail.com", "mailinator.com@example.com"])
def test_no_other_mailbox_is_taken_for_one(email: str) -> None:
    assert not emails.is_disposable(email)


def test_the_fourth_of_a_neighbourhood_on_one_day_gets_none(db: None) -> None:
    for number in range(3):
        grants.grant_signup_credit(organization=newcomer(number), network=HERE)

    with pytest.raises(grants.TooManyNearby):
        grants.grant_signup_credit(organization=newcomer(3), network=HERE)

    assert grants.grant_signup_credit(organization=newcomer(4), network="93.184.217.0/24").is_new


def test_the_next_day_there_are_three_more(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        grants.grant_signup_credit(organization=newcomer(number), network=HERE)
    tomorrow = timezone.now() + timedelta(hours=25)

    monkeypatch.setattr(timezone, "now", lambda: tomorrow)

    assert grants.grant_signup_credit(organization=newcomer(3), network=HERE).is_new


def test_many_at_once_from_one_neighbourhood_get_three(transactional_db: None) -> None:
    asking = [newcomer(number) for number in range(8)]

    def attempt(organization: Organization) -> bool:
        try:
            grants.grant_signup_credit(organization=organization, network=HERE)
        except grants.TooManyNearby:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(attempt, asking))

    assert granted.count(True) == 3
    assert Journal.objects.filter(kind=JournalKind.SIGNUP).count() == 3


def test_who_deletes_the_account_and_comes_back_gets_none(db: None) -> None:
    first = people.ensure_verified(email="ada@gmail.com")
    grants.grant_signup_credit(organization=organizations.of_user(first))
    leaving.empty(organizations.of_user(first))
    leaving.anonymise(first)

    again = organizations.of_user(people.ensure_verified(email="a.da+again@gmail.com"))

    with pytest.raises(grants.AlreadyGranted):
        grants.grant_signup_credit(organization=again)
    assert not Journal.objects.filter(idempotency_key__contains="ada").exists()


@pytest.mark.parametrize(
    ("address", "range_"),
    [
        ("93.184.216.34", HERE),
        ("::ffff:93.184.216.34", HERE),
        ("2606:4700:1:2::3", "2606:4700:1::/48"),
        ("nonsense", ""),
    ],
)
def test_a_neighbourhood_is_a_24_or_a_48(address: str, range_: str) -> None:
    assert neighbourhood(address) == range_


@pytest.mark.parametrize(("address", "balances"), [("93.184.216.34", 3), ("10.0.0.1", 5)])
def test_the_sign_up_page_tells_from_where_unless_nobody_knows(db: None, address: str, balances: int) -> None:
    request = RequestFactory().post("/", REMOTE_ADDR=address)

    for number in range(5):
        user = newcomer(number).members.get()
        proven = EmailAddress.objects.get(user=user)
        email_confirmed.send(sender=EmailAddress, request=request, email_address=proven)

    assert sum(1 for number in range(5) if wallets.of(newcomer(number)).balance_nano) == balances
