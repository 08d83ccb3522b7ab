"""What happens when a new customer proves an address: the plan's credit, once per person."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.dispatch import receiver

from accounts import organizations
from billing import grants

logger = logging.getLogger(__name__)


@receiver(email_confirmed, dispatch_uid="signup_credit")
def grant_credit(email_address: EmailAddress, **_: Any) -> None:
    """Grant the sign-up credit; an address confirmed later, or a plan without credit, changes nothing."""
    organization = organizations.of_user(email_address.user)
    try:
        grants.grant_signup_credit(organization=organization)
    except grants.NoSignupCredit as exc:
        logger.info("signup.no_credit", extra={"organization": organization.pk, "reason": type(exc).__name__})
