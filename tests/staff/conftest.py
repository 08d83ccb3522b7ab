"""Staff as the tests know them: one person for each role, and one without any."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from pytest_django import Settings

from accounts import people, staff_roles
from accounts.models import Organization, User
from tests.billing.cast import make_organization

NOBODY = "nobody"
ROLES = (NOBODY, *staff_roles.NAMES)
Hire = Callable[[str], User]


@pytest.fixture
def hire(db: None, settings: Settings) -> Hire:
    """Return what makes a member of staff of a role; an empty one is none."""
    settings.STAFF_SECOND_FACTOR = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

    def hired(role: str) -> User:
        user = people.ensure_verified(email=f"{role or 'nobody'}@staff.example")
        user.is_staff = True
        user.save(update_fields=["is_staff"])
        if role:
            user.groups.add(Group.objects.get(name=role))
        return user

    return hired


@pytest.fixture
def organization(db: None) -> Organization:
    """Alice's organization on the Free plan."""
    return make_organization()


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    """Hash passwords in microseconds: their strength is proved elsewhere."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def member_of_staff(db: None) -> Callable[[str], User]:
    """Make somebody staff in a role."""

    def make(role: str) -> User:
        user = people.ensure_verified(email=f"{role}@fastanchor.example")
        staff_roles.give(user=user, roles=[] if role == NOBODY else [role], reason="Hired")
        if role == NOBODY:
            User.objects.filter(pk=user.pk).update(is_staff=True)
        user.refresh_from_db()
        return user

    return make


@pytest.fixture
def desk(member_of_staff: Callable[[str], User]) -> Callable[[str], Client]:
    """Open a browser in which somebody of a role is logged in."""

    def open_one(role: str) -> Client:
        browser = Client(raise_request_exception=False)
        browser.force_login(member_of_staff(role))
        return browser

    return open_one
