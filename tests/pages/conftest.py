"""The cast: ada owns an organization with credit, cleo is a stranger; and what pages are judged by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from accounts import keys, notices, organizations, people
from accounts.models import ApiKey, Organization, User
from fastanchor.pages import status_board
from tests.fakestripe.running import KEY, RunningStripe
from tests.pages.stripe import Card


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    """Hash passwords in microseconds: their strength is proved elsewhere."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _fresh_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the status page gather anew for every reader."""
    status_board.forget()
    monkeypatch.setattr(status_board, "KEPT_S", 0.0)


@pytest.fixture(autouse=True)
def _no_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no page look for notices again while there are none: each asks the database equally often at all times."""
    monkeypatch.setattr(notices, "QUIET_S", 3_600.0)
    notices.forget()


@pytest.fixture
def ada(db: None) -> User:
    return people.ensure_verified(email="ada@example.com", password="a long password of ada")


@pytest.fixture
def cleo(db: None) -> User:
    return people.ensure_verified(email="cleo@example.com")


@pytest.fixture
def organization(ada: User) -> Organization:
    return organizations.of_user(ada)


@pytest.fixture
def key(organization: Organization) -> ApiKey:
    key, _ = keys.create(organization=organization, name="Laptop")
    return key


@pytest.fixture
def browser(client: Client, ada: User) -> Client:
    """Return Django's client with ada logged in."""
    client.force_login(ada)
    return client


@pytest.fixture
def catalog(db: None) -> None:
    call_command("load_catalog")


@pytest.fixture(scope="session")
def _running_stripe() -> Iterator[RunningStripe]:
    running = RunningStripe()
    yield running
    running.stop()


@pytest.fixture
def stripe(_running_stripe: RunningStripe, settings: Settings) -> Iterator[RunningStripe]:
    """Return a fake Stripe that knows nothing yet; whatever breaks Stripe's document fails the test."""
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_API_BASE = _running_stripe.base_url
    _running_stripe.reset()
    _running_stripe.referee.faults.clear()
    yield _running_stripe
    assert _running_stripe.referee.faults == []


@pytest.fixture
def card(stripe: RunningStripe, browser: Client, organization: Organization) -> Card:
    """Return ada's card."""
    return Card(stripe, browser)
