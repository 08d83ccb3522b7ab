"""The key behind a member's playground: made by the page, kept by the browser's tab, useless within the hour.

A member has one in each organization, so that usage names one "Playground" and budgets of the member and the
organization count it. Whoever opens the page again gets a new secret, and the one before works no longer.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import announcements, keys, tokens
from accounts.models import ApiKey, KeyKind, Organization, User

logger = logging.getLogger(__name__)

NAME = "Playground"
LIVES = timedelta(hours=1)


def mint(*, organization: Organization, member: User) -> tuple[ApiKey, str]:
    """Return the member's playground key with a fresh secret, which is never seen again."""
    token = tokens.new_token()
    prefix, last4 = tokens.shown_parts(token)
    fresh = {
        "digest": keys.newest_digest(token),
        "prefix": prefix,
        "last4": last4,
        "expires_at": timezone.now() + LIVES,
    }
    with transaction.atomic():
        # Two tabs at once must not make two keys; the constraint would refuse the second.
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        key, _ = ApiKey.objects.update_or_create(
            organization=organization,
            created_by=member,
            kind=KeyKind.PLAYGROUND,
            revoked_at=None,
            defaults=fresh,
            create_defaults={**fresh, "name": NAME},
        )
        announcements.key_changed(key.pk)
    logger.info("accounts.playground_opened", extra={"key": key.pk, "by": member.pk})
    return key, token
