"""Taking a person out of the tables: what stays is numbers that belong to nobody any more."""

from __future__ import annotations

import logging

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts import announcements, audit, kept_contents, keys, sessions, stored_responses
from accounts.models import ApiKey, KeyKind, Membership, Organization, Role, User

logger = logging.getLogger(__name__)

GONE = "Deleted organization"


class Staff(Exception):
    """Members of staff are removed by other staff, never by themselves."""


def owned_alone(user: User) -> QuerySet[Organization]:
    """Return the organizations that nobody else owns: they go with the user."""
    others = Membership.objects.filter(organization=OuterRef("pk"), role=Role.OWNER).exclude(user=user)
    mine = Organization.objects.filter(memberships__user=user, memberships__role=Role.OWNER)
    return mine.filter(~Exists(others)).order_by("created_at", "pk")


def left_behind(user: User) -> QuerySet[Organization]:
    """Return the organizations that the user only leaves."""
    return (
        Organization.objects.filter(memberships__user=user)
        .exclude(pk__in=owned_alone(user).values("pk"))
        .order_by("created_at", "pk")
    )


def end_keys(organization: Organization, *, by: User) -> int:
    """End every live key of an organization at once, those of playgrounds too; returns how many."""
    live = list(ApiKey.objects.filter(keys.is_live(), organization=organization))
    for key in live:
        keys.revoke(key=key, by=by)
    return len(live)


def lock_out(user: User) -> None:
    """Let a user log in no more, and end all sessions and playgrounds."""
    user.is_active = False
    user.save(update_fields=["is_active"])
    sessions.end_all(user=user)
    for key in ApiKey.objects.filter(keys.is_live(), created_by=user, kind=KeyKind.PLAYGROUND):
        keys.revoke(key=key, by=user)


def empty(organization: Organization) -> None:
    """Delete what an organization has stored, its name, and the names of its keys; usage and money stay."""
    stored_responses.forget_all(organization.pk)
    kept_contents.forget_all(organization.pk)
    with transaction.atomic():
        ApiKey.objects.filter(organization=organization).update(name=keys.DELETED_KEY)
        organization.name = GONE
        organization.save(update_fields=["name"])
        organization.memberships.all().delete()
        announcements.organization_changed(organization.pk)


def anonymise(user: User) -> None:
    """Delete who a user was; the row stays, for keys and journals name its number."""
    with transaction.atomic():
        lock_out(user)
        EmailAddress.objects.filter(user=user).delete()
        Authenticator.objects.filter(user=user).delete()
        Membership.objects.filter(user=user).delete()
        user.email = f"deleted-{user.pk}@deleted.invalid"
        user.name = ""
        user.set_unusable_password()
        user.save(update_fields=["email", "name", "password"])
        audit.forget_address_of(user)
        audit.record("user.anonymised", subject=f"user {user.pk}")
    logger.info("accounts.anonymised", extra={"user": user.pk})
