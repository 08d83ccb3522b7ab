"""Staff as the tests know them: of a role, and let in without a second factor, which has tests of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from pytest_django import Settings

from accounts import people
from accounts.models import Organization, User
from tests.billing.cast import make_organization

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
