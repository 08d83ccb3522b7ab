"""Organizations: the personal one of every user, named ones, and the plan they are on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import announcements, audit, emails
from accounts.models import Membership, Organization, Plan, Role, User

logger = logging.getLogger(__name__)

_NAME_LENGTH = 120
# What an organization may have instead of its plan's.
LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency")


class UnknownPlan(Exception):
    """There is no plan of this code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"There is no plan {code!r}.")
        self.code = code


class NoOwner(Exception):
    """Nobody owns the organization."""


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """What an organization may do at once and in a minute: its own limits, or its plan's."""

    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int


def of_user(user: User) -> Organization:
    """Return the user's personal organization; makes it if the user did not come by the sign-up page."""
    return _personal(user) or create_personal(user=user)


def create_personal(*, user: User) -> Organization:
    """Return the user's personal organization, made on the first call."""
    with transaction.atomic():
        # Two calls at once must not make two: the user's row is the lock.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        return _personal(user) or _create(
            name=user.email.partition("@")[0],
            plan_code=settings.PLAN_OF_NEW_ORGANIZATIONS,
            owner=user,
            is_personal=True,
        )


def create(*, name: str, plan_code: str, owner: User) -> Organization:
    """Create an organization that is nobody's personal one; raises ``UnknownPlan``."""
    with transaction.atomic():
        return _create(name=name, plan_code=plan_code, owner=owner, is_personal=False)


def rename(*, organization: Organization, name: str) -> Organization:
    """Give an organization another name, cut to the length of its column."""
    organization.name = name[:_NAME_LENGTH]
    with transaction.atomic():
        organization.save(update_fields=["name"])
        # Without the names: they may be people's, and go with the account.
        audit.record(
            "organization.renamed",
            subject=f"organization {organization.pk}",
            organization_id=organization.pk,
        )
    return organization


def limits_of(organization: Organization) -> LimitsInForce:
    """Return the limits in force."""
    own, plan = organization, organization.plan
    return LimitsInForce(
        requests_per_minute=_first_set(own.requests_per_minute, plan.requests_per_minute),
        tokens_per_minute=_first_set(own.tokens_per_minute, plan.tokens_per_minute),
        concurrency=_first_set(own.concurrency, plan.concurrency),
    )


def _first_set(own: int | None, of_plan: int) -> int:
    return of_plan if own is None else own


def change_plan(
    *, organization: Organization, plan_code: str, by: User | None, reason: str = ""
) -> Organization:
    """Put an organization on another plan; its callers have the new limits within a second."""
    plan, before = _plan(plan_code), organization.plan_id
    with transaction.atomic(), audit.because(reason):
        organization.plan = plan
        organization.save(update_fields=["plan"])
        if plan.pk != before:
            _record(organization, "organization.plan_changed", {"plan": before}, {"plan": plan.pk}, by)
        announcements.organization_changed(organization.pk)
    logger.info(
        "accounts.plan_changed",
        extra={"organization": organization.pk, "plan": plan_code, "by": by.pk if by else None},
    )
    return organization


def change_limits(
    *, organization: Organization, limits: Mapping[str, int | None], by: User, reason: str
) -> Organization:
    """Set an organization's own limits, ``None`` for its plan's; its callers have them within a second."""
    before = {name: getattr(organization, name) for name in LIMITS}
    for name in LIMITS:
        setattr(organization, name, limits[name])
    after = {name: getattr(organization, name) for name in LIMITS}
    if after == before:
        return organization
    with transaction.atomic(), audit.because(reason):
        organization.save(update_fields=list(LIMITS))
        _record(organization, "organization.limited", before, after, by)
        announcements.organization_changed(organization.pk)
    logger.info("accounts.limits_changed", extra={"organization": organization.pk, "by": by.pk})
    return organization


def freeze(*, organization: Organization, is_frozen: bool, by: User, reason: str) -> Organization:
    """Let none of an organization's keys in any more, or let them in again, within a second.

    What its credit may be used for is said by its wallet; who calls this turns that, too.
    """
    before = {"frozen_at": organization.frozen_at}
    if (organization.frozen_at is not None) == is_frozen:
        return organization
    organization.frozen_at = timezone.now() if is_frozen else None
    with transaction.atomic(), audit.because(reason):
        organization.save(update_fields=["frozen_at"])
        after = {"frozen_at": organization.frozen_at}
        _record(organization, f"organization.{'frozen' if is_frozen else 'unfrozen'}", before, after, by)
        announcements.organization_changed(organization.pk)
    logger.info(
        "accounts.frozen", extra={"organization": organization.pk, "is_frozen": is_frozen, "by": by.pk}
    )
    return organization


def canonical_owner_email(organization: Organization) -> str:
    """Return the first owner's address in canonical spelling; raises ``NoOwner``."""
    return emails.canonical(billing_email(organization))


def billing_email(organization: Organization) -> str:
    """Return the address that receipts and warnings go to, the first owner's; raises ``NoOwner``."""
    first = (
        organization.memberships.filter(role=Role.OWNER)
        .select_related("user")
        .order_by("created_at", "pk")
        .first()
    )
    if first is None:
        raise NoOwner
    return first.user.email


def owner_emails(organization: Organization) -> list[str]:
    """Return the addresses of all owners, the first one's first."""
    owners = organization.memberships.filter(role=Role.OWNER).order_by("created_at", "pk")
    return list(owners.values_list("user__email", flat=True))


def _personal(user: User) -> Organization | None:
    return (
        Organization.objects.filter(is_personal=True, memberships__user=user, memberships__role=Role.OWNER)
        .select_related("plan")
        .order_by("created_at", "pk")
        .first()
    )


def _create(*, name: str, plan_code: str, owner: User, is_personal: bool) -> Organization:
    organization = Organization.objects.create(
        name=name[:_NAME_LENGTH], plan=_plan(plan_code), is_personal=is_personal
    )
    Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
    _record(organization, "organization.created", {}, {"plan": plan_code, "owner": owner.pk})
    return organization


def _record(
    organization: Organization,
    what: str,
    before: Mapping[str, object],
    after: Mapping[str, object],
    by: User | None = None,
) -> None:
    named = {"subject": f"organization {organization.pk}", "organization_id": organization.pk}
    audit.record_change(what, before=before, after=after, by=by, **named)


def _plan(code: str) -> Plan:
    plan = Plan.objects.filter(pk=code).first()
    if plan is None:
        raise UnknownPlan(code)
    return plan
