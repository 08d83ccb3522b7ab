"""A fake Stripe that the product is pointed at, and a customer who pays there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from accounts.models import Organization
from billing import checkout
from billing.models import PaymentMethod, TopUp
from tests.billing.cast import make_organization
from tests.billing.stripe.automatic import switch_on
from tests.billing.stripe.shop import Shop
from tests.fakestripe.running import KEY, SECRET, RunningStripe

Buy = Callable[..., TopUp]


@pytest.fixture(scope="session")
def _running() -> Iterator[RunningStripe]:
    running = RunningStripe()
    yield running
    running.stop()


@pytest.fixture
def fake(_running: RunningStripe, settings: Settings) -> Iterator[RunningStripe]:
    """Return a fake that knows nothing yet; what breaks Stripe's document fails the test."""
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_API_BASE = _running.base_url
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    _running.reset()
    _running.referee.faults.clear()
    yield _running
    assert _running.referee.faults == []


@pytest.fixture
def ada(db: None) -> Organization:
    """Return an organization on the Free plan, without credit."""
    return make_organization("ada@example.com")


@pytest.fixture
def shop(fake: RunningStripe) -> Shop:
    """Return where credit is bought."""
    return Shop(fake)


@pytest.fixture
def buy(shop: Shop, ada: Organization) -> Buy:
    """Return a way for ada to buy credit; the top-up is followed as by the page after the payment."""

    def pay(cents: int = 1_000) -> TopUp:
        return checkout.follow(shop.pay(ada, cents))

    return pay


@pytest.fixture
def card(shop: Shop, ada: Organization) -> PaymentMethod:
    """Return ada's saved card; her automatic top-up is on."""
    saved = shop.save_card(ada)
    switch_on(ada)
    return saved
