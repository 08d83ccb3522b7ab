"""The cast of the pages about customers: alice's organization, and members of staff by role."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.test import Client

from accounts import people
from accounts.audit_entry import AuditEntry
from accounts.models import User
from fastanchor.staff import roles

DOLLAR = 1_000_000_000


def desk(role: str, name: str = "") -> tuple[User, Client]:
    """Return a member of staff of a role and their browser."""
    roles.write_groups()
    user = people.ensure_verified(email=f"{name or role}@staff.example")
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    user.groups.add(Group.objects.get(name=role))
    browser = Client()
    browser.force_login(user)
    return user, browser


def told(what: str) -> AuditEntry:
    """Return the one entry of the audit log about something."""
    return AuditEntry.objects.get(what=what)


def text(answer: Any) -> str:
    return str(answer.content.decode())
