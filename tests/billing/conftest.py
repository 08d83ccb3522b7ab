"""Fixtures of the billing tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.test import Client

from accounts import keys
from accounts.models import Organization, User
from fastanchor.lib.valkey import sync_client
from tests.billing.cast import make_organization


@pytest.fixture
def organization(db: None) -> Organization:
    """Alice's organization on the Free plan."""
    return make_organization()


@pytest.fixture
def lasting_organization(transactional_db: None) -> Organization:
    """Alice's organization in a test whose transactions really commit."""
    return make_organization()


@pytest.fixture
def valkey() -> redis.Redis:
    """The Valkey of the tests."""
    return sync_client()


@pytest.fixture
def spool_root(tmp_path: Path) -> Path:
    """A folder for spools."""
    return tmp_path / "spool"


@pytest.fixture
def make_key() -> Callable[..., str]:
    """Create a key of an organization and return its id."""

    def make(organization: Organization, **limits: Any) -> str:
        key, _ = keys.create(organization=organization, name="Test", **limits)
        return key.pk

    return make


@pytest.fixture
def root(db: None) -> User:
    """A member of staff who may do everything."""
    return User.objects.create_superuser("root@example.org")


@pytest.fixture
def staff(root: User) -> Client:
    """The browser of a member of staff who may do everything."""
    browser = Client()
    browser.force_login(root)
    return browser
