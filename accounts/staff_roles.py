"""Who is staff, and in which roles; what a role may do is written in ``fastanchor.staff.roles``."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db import transaction

from accounts import audit
from accounts.models import User

NAMES = ("support", "finance", "catalog", "operations", "owner")
ASSIGN = "accounts.assign_roles"


class NoSuchRole(Exception):
    """There is no such role; carries its name."""


def give(*, user: User, roles: Iterable[str], reason: str, by: User | None = None) -> None:
    """Make somebody staff in exactly these roles, or nobody's staff with none; raises ``NoSuchRole``."""
    wanted = sorted(set(roles))
    if unknown := set(wanted) - set(NAMES):
        raise NoSuchRole(", ".join(sorted(unknown)))
    with transaction.atomic():
        before = {"is_staff": user.is_staff, "roles": of(user)}
        user.is_staff = bool(wanted)
        user.save(update_fields=["is_staff"])
        user.groups.set(Group.objects.filter(name__in=wanted))
        audit.record_change(
            "user.roles_given",
            before=before,
            after={"is_staff": user.is_staff, "roles": wanted},
            subject=f"user {user.pk}",
            by=by,
            reason=reason,
        )


def of(user: User) -> list[str]:
    """Return the roles that somebody has."""
    return sorted(user.groups.filter(name__in=NAMES).values_list("name", flat=True))


def may_touch(actor: User, user: User) -> bool:
    """Tell whether one may change another's account: staff's only with the right to give roles, superusers' only as one."""
    if actor.is_superuser:
        return True
    if user.is_superuser:
        return False
    return not user.is_staff or actor.has_perm(ASSIGN)
