"""A fake Stripe, the SDK pointed at it, and the referee who has the last word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.fakestripe.running import RunningStripe


@pytest.fixture(scope="session")
def _running() -> Iterator[RunningStripe]:
    running = RunningStripe()
    yield running
    running.stop()


@pytest.fixture
def fake(_running: RunningStripe) -> Iterator[RunningStripe]:
    """Return a fake that knows nothing yet; what breaks Stripe's document fails the test."""
    _running.reset()
    _running.referee.faults.clear()
    yield _running
    # Every event is a fact that somebody may read.
    list(_running.client().v1.events.list({"limit": 100}).auto_paging_iter())
    assert _running.referee.faults == []


@pytest.fixture
def client(fake: RunningStripe) -> stripe.StripeClient:
    """Return the SDK as the product uses it, without its own retries."""
    return fake.client()
