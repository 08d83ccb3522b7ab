"""Budgets: the most that a key, a member or an organization may spend in a day, a week, a month, or ever.

A key counts for the member who created it, and for its organization. What they have spent is no matter of this app.
"""

from __future__ import annotations

import logging
from functools import reduce
from operator import or_
from typing import TypedDict, Unpack

from django.db import transaction
from django.db.models import Q

from accounts import announcements, audit
from accounts.models import ApiKey, Budgeted, Membership, Organization, Role, User
from fastanchor.lib.money import NANOS_PER_USD, short_usd

logger = logging.getLogger(__name__)

# Far above any budget, far below what the column holds.
MOST_NANO = 1_000_000_000 * NANOS_PER_USD


class Budgets(TypedDict, total=False):
    """The most that may be spent, in nano-USD; ``None`` for no budget."""

    budget_day_nano: int | None
    budget_week_nano: int | None
    budget_month_nano: int | None
    budget_total_nano: int | None


NAMES = tuple(Budgets.__annotations__)
_HAS_BUDGET = reduce(or_, (Q(**{f"{name}__isnull": False}) for name in NAMES))


class OutOfRange(ValueError):
    """A budget, ``field``, is below zero or beyond all reason."""

    def __init__(self, field: str) -> None:
        super().__init__(f"At least {short_usd(0)} and at most {short_usd(MOST_NANO)}.")
        self.field = field


class NotAnOwner(Exception):
    """Only owners set the budgets of their organization and its members."""


def check(field: str, nano: int | None) -> None:
    """Raise ``OutOfRange`` for what cannot be a budget."""
    if nano is not None and not 0 <= nano <= MOST_NANO:
        raise OutOfRange(field)


def set_organization(*, organization: Organization, by: User, **budgets: Unpack[Budgets]) -> None:
    """Set the budgets that are named; raises ``NotAnOwner`` or ``OutOfRange``."""
    _set(organization, organization.pk, by, budgets)


def set_member(*, membership: Membership, by: User, **budgets: Unpack[Budgets]) -> None:
    """Set the budgets of one member that are named; raises ``NotAnOwner`` or ``OutOfRange``."""
    _set(membership, membership.organization_id, by, budgets)


def is_owner(user: User, organization_id: str) -> bool:
    """Tell whether a user owns an organization."""
    return Membership.objects.filter(user=user, organization=organization_id, role=Role.OWNER).exists()


def member_subject(user_id: int) -> str:
    """Return the name under which spending of a member is counted in an organization."""
    return f"user_{user_id}"


def subjects(organization: Organization) -> list[tuple[str, Budgeted]]:
    """Return all that have a budget in an organization, by the names under which their spending is counted."""
    found: list[tuple[str, Budgeted]] = [(organization.pk, organization)] if organization.budgets else []
    members = organization.memberships.filter(_HAS_BUDGET).order_by("pk")
    found += [(member_subject(member.user_id), member) for member in members]
    keys = organization.api_keys.filter(_HAS_BUDGET, revoked_at=None).order_by("pk")
    return found + [(key.pk, key) for key in keys]


def in_force(key: ApiKey) -> tuple[tuple[str | int, ...], str]:
    """Return what ``keyring.Caller`` says of a key's budgets, and the member that they count for, if it has any."""
    membership = _maker(key)
    of_member = _flat(member_subject(membership.user_id), membership) if membership else ()
    flat = _flat(key.pk, key) + of_member + _flat(key.organization_id, key.organization)
    return flat, str(of_member[0]) if of_member else ""


def _maker(key: ApiKey) -> Membership | None:
    if key.created_by_id is None:
        return None
    return Membership.objects.filter(user=key.created_by_id, organization=key.organization_id).first()


def _flat(subject: str, budgeted: Budgeted) -> tuple[str | int, ...]:
    return tuple(part for window, nano in budgeted.budgets.items() for part in (subject, window.value, nano))


def _set(budgeted: Organization | Membership, organization_id: str, by: User, budgets: Budgets) -> None:
    if not is_owner(by, organization_id):
        raise NotAnOwner
    before = {field: getattr(budgeted, field) for field in budgets}
    for field, nano in budgets.items():
        check(field, nano)  # type: ignore[arg-type] # a TypedDict forgets the type of its values
        setattr(budgeted, field, nano)
    with transaction.atomic():
        budgeted.save(update_fields=list(budgets))
        subject = f"{type(budgeted).__name__.lower()} {budgeted.pk}"
        audit.record_change(
            "budgets.set",
            before=before,
            after=dict(budgets),
            subject=subject,
            organization_id=organization_id,
            by=by,
        )
        announcements.organization_changed(organization_id)
    logger.info(
        "accounts.budgets_set",
        extra={"organization": organization_id, "of": str(budgeted.pk), "by": by.pk, **budgets},
    )
