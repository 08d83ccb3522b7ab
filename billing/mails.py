"""Mails about money, to the address that receipts go to: plain text from ``templates/billing/emails``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import organizations
from accounts.models import Organization

logger = logging.getLogger(__name__)


def send(organization: Organization, name: str, **facts: Any) -> None:
    """Send a mail to the organization's owner; raises ``OSError`` or ``SMTPException`` when it cannot be handed over."""
    try:
        addresses = [organizations.billing_email(organization)]
    except organizations.NoOwner:
        addresses = []
    send_to(addresses, organization, name, **facts)


def send_to(addresses: Sequence[str], organization: Organization, name: str, **facts: Any) -> None:
    """Send one mail about an organization's money to several of its members; raises as ``send``."""
    if not addresses:
        logger.warning("billing.nobody_to_mail", extra={"organization": organization.pk, "mail": name})
        return
    context = {
        "organization": organization,
        "billing_url": link_to("billing:overview"),
        "cards_url": link_to("billing:cards"),
        **facts,
    }
    subject = render_to_string(f"billing/emails/{name}_subject.txt", context).strip()
    send_mail(subject, render_to_string(f"billing/emails/{name}.txt", context), None, addresses)
    logger.info("billing.mailed", extra={"organization": organization.pk, "mail": name})


def link_to(name: str, *arguments: str) -> str:
    """Return the whole address of a page, for readers who are not on the site."""
    return f"{settings.SITE_ORIGIN}{reverse(name, args=arguments)}"
