"""The groups of staff are what the table says, and the menu leads nowhere that its reader may not go."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.urls import reverse

from accounts import staff_roles
from accounts.audit_entry import AuditEntry
from accounts.models import User
from fastanchor.staff import menu, roles

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", sorted(roles.ROLES))
def test_each_role_has_its_group_after_migrations(role: str) -> None:
    held = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")

    assert {f"{app}.{codename}" for app, codename in held} == roles.permissions_of(role)
    assert roles.permissions_of(role)


def test_what_was_added_to_a_group_by_hand_is_gone_with_the_next_deploy() -> None:
    group = Group.objects.get(name="support")
    group.permissions.set(Group.objects.get(name="owner").permissions.all())

    roles.write_groups()

    held = {
        f"{app}.{codename}"
        for app, codename in group.permissions.values_list("content_type__app_label", "codename")
    }
    assert held == roles.permissions_of("support")


def test_nobody_may_change_usage_or_the_ledger() -> None:
    permitted = roles.permissions_of("owner")

    for table in ("usagerecord", "journal", "posting", "creditlot", "invoice", "auditentry"):
        assert not any(
            each.endswith((f"change_{table}", f"delete_{table}", f"add_{table}")) for each in permitted
        )


def test_every_page_of_the_menu_exists_and_some_role_may_open_it() -> None:
    permitted = roles.permissions_of("owner")

    for section in menu.SECTIONS:
        for page in section.pages:
            assert reverse(page.url_name)
            assert page.permission in permitted, page


def test_a_member_of_staff_is_made_by_a_command_and_unmade_again() -> None:
    call_command("staff", "sue@example.com", "--role", "support", "--role", "finance", "--reason", "Hired")
    sue = User.objects.get(email="sue@example.com")
    assert (sue.is_staff, sue.is_superuser, staff_roles.of(sue)) == (True, False, ["finance", "support"])

    call_command("staff", "sue@example.com", "--none", "--reason", "Left")

    sue.refresh_from_db()
    assert (sue.is_staff, staff_roles.of(sue)) == (False, [])
    entries = AuditEntry.objects.filter(what="user.roles_given").order_by("pk")
    assert [(each.reason, each.after["roles"]) for each in entries] == [
        ("Hired", ["finance", "support"]),
        ("Left", []),
    ]


def test_the_names_of_roles_are_those_of_the_table() -> None:
    assert set(staff_roles.NAMES) == set(roles.ROLES)
