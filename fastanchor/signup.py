"""What happens when a new customer proves an address: the plan's credit, once per person."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import organizations, visitors
from billing import grants
from fastanchor.lib.networks import neighbourhood
from fastanchor.lib.public import is_public

logger = logging.getLogger(__name__)


@receiver(email_confirmed, dispatch_uid="signup_credit")
def grant_credit(email_address: EmailAddress, request: HttpRequest | None = None, **_: Any) -> None:
    """Grant the sign-up credit; an address confirmed later, or a plan without credit, changes nothing."""
    organization = organizations.of_user(email_address.user)
    try:
        grants.grant_signup_credit(organization=organization, network=_network(request))
    except grants.NoSignupCredit as exc:
        logger.info("signup.no_credit", extra={"organization": organization.pk, "reason": type(exc).__name__})


def _network(request: HttpRequest | None) -> str:
    address = visitors.address_of(request) if request else ""
    # Behind a proxy that hides its callers everybody would be one neighbour.
    return neighbourhood(address) if is_public(address) else ""
