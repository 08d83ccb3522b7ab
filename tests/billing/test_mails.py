"""Mails to several members: one refused address keeps no other from its mail, and brings nobody two."""

from __future__ import annotations

from smtplib import SMTPRecipientsRefused

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend

from accounts import organizations, people
from accounts.models import Membership, Organization
from billing import mails

pytestmark = pytest.mark.django_db
REFUSED = "gone@example.com"


class Refusing(EmailBackend):
    """A mail server that knows one address no more."""

    def send_messages(self, email_messages: list[EmailMessage]) -> int:  # type: ignore[override] # what it is given
        for message in email_messages:
            if REFUSED in message.to:
                raise SMTPRecipientsRefused({REFUSED: (550, b"unknown")})
        return super().send_messages(email_messages)


@pytest.fixture
def organization(monkeypatch: pytest.MonkeyPatch) -> Organization:
    monkeypatch.setattr(mails, "get_connection", Refusing)
    owned = organizations.of_user(people.ensure_verified(email="ada@example.com"))
    Membership.objects.create(user=people.ensure_verified(email=REFUSED), organization=owned)
    return owned


def send(organization: Organization, *addresses: str) -> None:
    facts = {"balance": "$1.00", "threshold": "$5.00"}
    mails.send_to(addresses, organization, "low_balance", **facts)


@pytest.mark.parametrize("order", [("ada@example.com", REFUSED), (REFUSED, "ada@example.com")])
def test_one_refused_address_keeps_no_other_from_its_mail(
    organization: Organization, order: tuple[str, str]
) -> None:
    send(organization, *order)

    assert [message.to for message in mail.outbox] == [["ada@example.com"]]


def test_where_all_are_refused_the_sender_hears_of_it(organization: Organization) -> None:
    with pytest.raises(SMTPRecipientsRefused):
        send(organization, REFUSED)
