"""Mails about money: plain text from ``templates/billing/emails``, to members who want them.

Each goes to one member alone, with the link by which that member stops mails of its kind.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from smtplib import SMTPRecipientsRefused
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import mail_choices, organizations
from accounts.models import MailKind, Organization

logger = logging.getLogger(__name__)

# What can be stopped; what is not here was ordered by its reader.
_KINDS = {
    "auto_top_up_off": MailKind.PAYMENT,
    "budget": MailKind.BUDGET,
    "low_balance": MailKind.LOW_BALANCE,
}


def send(organization: Organization, name: str, **facts: Any) -> None:
    """Send a mail to the organization's owner; raises ``OSError`` or ``SMTPException`` when it cannot be handed over."""
    try:
        addresses = [organizations.billing_email(organization)]
    except organizations.NoOwner:
        addresses = []
    send_to(addresses, organization, name, **facts)


def send_to(addresses: Sequence[str], organization: Organization, name: str, **facts: Any) -> None:
    """Send a mail to members of an organization, one that can be stopped only to those who want it; raises as ``send``."""
    context = {
        "organization": organization,
        "billing_url": link_to("billing:overview"),
        "cards_url": link_to("billing:cards"),
        **facts,
    }
    letters = _letters(addresses, organization, name, context)
    if not letters:
        logger.warning("billing.nobody_to_mail", extra={"organization": organization.pk, "mail": name})
        return
    _hand_over(letters)
    logger.info("billing.mailed", extra={"organization": organization.pk, "mail": name})


def _hand_over(letters: Sequence[EmailMessage]) -> None:
    """Send letters; raises for refused addresses only where all are, or the others would get theirs again."""
    refusals: list[SMTPRecipientsRefused] = []
    with get_connection() as connection:
        for letter in letters:
            try:
                connection.send_messages([letter])
            except SMTPRecipientsRefused as exc:
                refusals.append(exc)
    if len(refusals) == len(letters):
        raise refusals[0]


def _letters(
    addresses: Sequence[str], organization: Organization, name: str, context: dict[str, Any]
) -> list[EmailMessage]:
    kind = _KINDS.get(name)
    if kind is None:
        return [_letter(address, name, context) for address in addresses]
    members = mail_choices.wanting(organization, kind, addresses)
    stops = {
        address: link_to("settings:unsubscribe", mail_choices.token_of(member, kind))
        for address, member in members.items()
    }
    return [_letter(address, name, context, stop_url) for address, stop_url in stops.items()]


def _letter(address: str, name: str, context: dict[str, Any], stop_url: str = "") -> EmailMessage:
    """Return a mail; with ``stop_url`` one that mail programs stop with one press (RFC 8058)."""
    stop = {"List-Unsubscribe": f"<{stop_url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return EmailMessage(
        render_to_string(f"billing/emails/{name}_subject.txt", context).strip(),
        render_to_string(f"billing/emails/{name}.txt", {**context, "stop_url": stop_url}),
        None,
        [address],
        headers=stop if stop_url else {},
    )


def link_to(name: str, *arguments: str) -> str:
    """Return the whole address of a page, for readers who are not on the site."""
    return f"{settings.SITE_ORIGIN}{reverse(name, args=arguments)}"
