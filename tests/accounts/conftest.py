"""The cast: ada owns an organization, cleo is a stranger with one of her own."""

from __future__ import annotations

import pytest

from accounts import organizations, people
from accounts.models import Organization, User


@pytest.fixture
def ada(db: None) -> User:
    return people.ensure_verified(email="ada@example.com")


@pytest.fixture
def cleo(db: None) -> User:
    return people.ensure_verified(email="cleo@example.com")


@pytest.fixture
def organization(ada: User) -> Organization:
    return organizations.of_user(ada)
