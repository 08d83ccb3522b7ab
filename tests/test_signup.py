from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed

from accounts import organizations
from accounts.models import User
from billing import wallets

FIVE_USD = 5_000_000_000


def _confirm(user: User, email: str) -> None:
    address = EmailAddress.objects.create(user=user, email=email, verified=True)
    email_confirmed.send(sender=EmailAddress, request=None, email_address=address)


def _balance(user: User) -> int:
    return wallets.of(organizations.of_user(user)).balance_nano


def test_proving_an_address_brings_the_plans_credit_once(db: None) -> None:
    ada = User.objects.create_user("ada@example.com")
    assert _balance(ada) == 0

    _confirm(ada, "ada@example.com")
    assert _balance(ada) == FIVE_USD

    _confirm(ada, "ada@work.example.com")
    assert _balance(ada) == FIVE_USD


def test_a_second_account_behind_one_mailbox_gets_nothing(db: None) -> None:
    ada, again = User.objects.create_user("ada@gmail.com"), User.objects.create_user("a.d.a+2@gmail.com")

    _confirm(ada, "ada@gmail.com")
    _confirm(again, "a.d.a+2@gmail.com")

    assert _balance(ada) == FIVE_USD
    assert _balance(again) == 0
