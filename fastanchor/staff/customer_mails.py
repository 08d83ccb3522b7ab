"""Mails that a customer says never came, sent once more; each is in the audit log with its reason."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from django.http import HttpRequest

from accounts import audit
from accounts.models import Organization
from billing import invoices, mails
from billing.models import Invoice
from fastanchor.lib.money import cents_to_nanos, short_usd

INVOICE = "invoice"


def choices(organization: Organization) -> list[tuple[str, str]]:
    """Return which mails there are to send again: the value of each, and its words."""
    found = [
        (f"verify:{address.pk}", f"Verification of {address.email}") for address in unverified(organization)
    ]
    newest = last_invoice(organization)
    return found + ([(INVOICE, f"The last document, {newest.number}")] if newest else [])


def unverified(organization: Organization) -> list[EmailAddress]:
    """Return the addresses of members that wait to be verified."""
    waiting = EmailAddress.objects.filter(user__memberships__organization=organization, verified=False)
    return list(waiting.order_by("pk")[:10])


def last_invoice(organization: Organization) -> Invoice | None:
    """Return the customer's newest numbered document."""
    return invoices.of(organization).first()


def send(*, organization: Organization, which: str, reason: str, request: HttpRequest) -> str:
    """Send one of ``choices`` and return its words; raises ``KeyError``, ``OSError`` and ``SMTPException``."""
    words = dict(choices(organization))[which]
    if which == INVOICE:
        _send_invoice(organization)
    else:
        address = next(each for each in unverified(organization) if which == f"verify:{each.pk}")
        address.send_confirmation(request)
    # Without the address, which is a person's; the log outlives the account.
    audit.record(
        "mail.sent_again",
        subject=f"organization {organization.pk}",
        organization_id=organization.pk,
        after={"mail": which},
        reason=reason,
    )
    return words


def _send_invoice(organization: Organization) -> None:
    newest = last_invoice(organization)
    assert newest is not None
    mails.send(
        organization,
        "document",
        number=newest.number,
        kind=newest.get_kind_display(),
        amount=short_usd(cents_to_nanos(newest.amount_cents)),
        issued_on=f"{newest.issued_at:%Y-%m-%d}",
        document_url=mails.link_to("billing:invoice", newest.number),
    )
