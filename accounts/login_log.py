"""Log lines of who logged in, by what, and who could not: for whoever has to see an attack while it runs.

No line holds an address of mail, for what is typed there may be a password. What staff do stays in the audit log.
"""

from __future__ import annotations

import logging

from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from django.http import HttpRequest

from accounts import visitors
from accounts.models import User

logger = logging.getLogger(__name__)


def succeeded(request: HttpRequest, user: User) -> None:
    """Write down a login, and the factors that it took."""
    factors = [record.get("type") or record["method"] for record in get_authentication_records(request, user)]
    told = {"user": user.pk, "factors": ",".join(factors), "address": visitors.address_of(request)}
    logger.info("accounts.logged_in", extra=told)


def refused(*, email: str = "", why: str) -> None:
    """Write down a login that was refused, and at whose account it was aimed."""
    request = context.request
    aimed_at = (
        User.objects.filter(email=email.lower()).values_list("pk", flat=True).first() if email else None
    )
    user = aimed_at or getattr(getattr(request, "user", None), "pk", None)
    told = {"why": why, "address": visitors.address_of(request) if request else ""}
    logger.warning("accounts.login_refused", extra=told | ({"user": user} if user else {}))
