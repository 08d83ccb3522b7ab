"""The cast of staff: one person for each role, each in a browser of their own, and one without any."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import people, staff_roles
from accounts.models import User

NOBODY = "nobody"
ROLES = (NOBODY, *staff_roles.NAMES)


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
