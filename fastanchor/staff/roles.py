"""What each role of staff may do: groups of permissions, written here and nowhere else.

A member of staff who has no role sees the index and nothing more. The groups of these names are made equal to the table
after every migration, so what was added to one by hand is gone with the next deploy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.contrib.auth.models import Group, Permission

APPS = ("accounts", "billing", "catalog")

# "app.*" stands for the permission to view each table of an app; everything else is named.
ROLES: dict[str, tuple[str, ...]] = {
    "support": (
        "accounts.*",
        "billing.*",
        "catalog.*",
        "accounts.change_organization",
        "accounts.add_organizationnote",
        "accounts.freeze_organization",
        "accounts.mail_organization",
        "accounts.hijack_user",
        "accounts.change_apikey",
        "accounts.change_user",
        "mfa.view_authenticator",
        "mfa.delete_authenticator",
    ),
    "finance": (
        "accounts.*",
        "billing.*",
        "catalog.*",
        "catalog.see_drift",
        "billing.adjust_wallet",
        "billing.approve_credit",
        "billing.refund_topup",
        "accounts.add_organizationnote",
        "accounts.freeze_organization",
        "billing.sync_topup",
        "billing.write_off_dispute",
        "billing.close_reconciliationitem",
        "billing.view_figures",
        "billing.upload_bill",
    ),
    "catalog": (
        "catalog.*",
        "catalog.add_provider",
        "catalog.change_provider",
        "catalog.add_catalogmodel",
        "catalog.change_catalogmodel",
        "catalog.add_modelalias",
        "catalog.change_modelalias",
        "catalog.delete_modelalias",
        "catalog.add_price",
        "catalog.add_pricetier",
        "catalog.compare_prices",
        "catalog.decide_priceproposal",
        "catalog.see_drift",
        "catalog.send_retirementnotice",
        "catalog.add_route",
        "catalog.change_route",
        "catalog.delete_route",
    ),
    "operations": (
        "catalog.*",
        "accounts.view_organization",
        "accounts.view_apikey",
        "accounts.view_organizationnote",
        "accounts.add_organizationnote",
        "billing.view_usagerecord",
        "billing.view_deadletter",
        "billing.view_admission",
        "billing.view_gatewayprocess",
        "billing.view_degradedhold",
        "catalog.add_channel",
        "catalog.change_channel",
        "catalog.add_credential",
        "catalog.change_credential",
        "catalog.delete_credential",
        "catalog.add_route",
        "catalog.change_route",
        "catalog.delete_route",
        "catalog.add_incident",
        "catalog.change_incident",
        "catalog.add_incidentupdate",
        "catalog.change_incidentupdate",
        "accounts.view_notice",
        "accounts.add_notice",
        "accounts.change_notice",
    ),
}
# All that any role may do, and what only owners may: plans, legal texts, and people with their roles.
_OWNERS_ALONE = (
    "accounts.add_user",
    "accounts.assign_roles",
    "accounts.change_plan",
    "accounts.add_plan",
    "accounts.add_legaldocument",
    "accounts.change_legaldocument",
)
ROLES["owner"] = tuple(sorted({*_OWNERS_ALONE, *(each for role in ROLES.values() for each in role)}))


class NoSuchPermission(Exception):
    """The table names a permission that no model has; carries its name."""


def permissions_of(role: str) -> set[str]:
    """Return all permissions of a role as ``app.codename``; raises ``NoSuchPermission``."""
    return set(_ids_of(role, _known()))


def write_groups(**_: Any) -> None:
    """Make the group of each role equal to the table; may be run any number of times."""
    known = _known()
    Group.objects.bulk_create([Group(name=role) for role in ROLES], ignore_conflicts=True)
    groups = dict(Group.objects.filter(name__in=ROLES).values_list("name", "pk"))
    wanted = {(groups[role], pk) for role in ROLES for pk in _ids_of(role, known).values()}
    held = Group.permissions.through.objects.filter(group__in=groups.values())
    present = {
        (group, permission): pk for pk, group, permission in held.values_list("pk", "group", "permission")
    }
    held.filter(pk__in=[pk for pair, pk in present.items() if pair not in wanted]).delete()
    Group.permissions.through.objects.bulk_create(
        [
            Group.permissions.through(group_id=group, permission_id=pk)
            for group, pk in wanted - present.keys()
        ],
        ignore_conflicts=True,
    )


class _Known(NamedTuple):
    """A permission that there is: its number, and the table that it is about."""

    pk: int
    app: str
    model: str


def _known() -> dict[str, _Known]:
    rows = Permission.objects.values_list("pk", "content_type__app_label", "content_type__model", "codename")
    return {f"{app}.{codename}": _Known(pk, app, model) for pk, app, model, codename in rows}


def _ids_of(role: str, known: Mapping[str, _Known]) -> dict[str, int]:
    named = {each for each in ROLES[role] if not each.endswith(".*")}
    if missing := named - known.keys():
        raise NoSuchPermission(", ".join(sorted(missing)))
    readable = {each.removesuffix(".*") for each in ROLES[role] if each.endswith(".*")}
    # A permission of another name, such as that to see all figures, is of no table.
    return {
        name: each.pk
        for name, each in known.items()
        if name in named or (each.app in readable and name == f"{each.app}.view_{each.model}")
    }
