"""The product's own story with a Stripe of which it knows the address and a test key, and nothing else.

Told with the fake always; with another Stripe where ``STRIPE_TEST_KEY`` is set, Stripe's own unless ``STRIPE_TEST_BASE``
names another. Nothing here gives the fake an order, or asks it what others would not tell. What another fake lacks as a
whole, such as Checkout, is skipped with its own words for that.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import stripe
from django.conf import settings
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Organization
from billing import auto_topups, cards, checkout, customers, events, refunds, sync
from billing.models import PaymentMethod, RefundStatus, StripeCustomer, TopUp, TopUpStatus
from billing.stripe_api.client import API_VERSION, StripeRefused
from fastanchor.lib.ids import new_id
from tests.billing.cast import make_organization
from tests.billing.stripe.automatic import automatic, setting_of, switch_on
from tests.billing.stripe.books import balance_cents
from tests.billing.stripe.shop import CANCEL, SUCCESS
from tests.fakestripe.running import KEY, RunningStripe

THE_FAKE, ANOTHER = "fake", "another"
PATIENCE_S, LOOK_EVERY_S = 60.0, 0.5

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(180)]
_needs_key = pytest.mark.skipif(
    "STRIPE_TEST_KEY" not in os.environ, reason="STRIPE_TEST_KEY names no account"
)


@pytest.fixture(params=[THE_FAKE, pytest.param(ANOTHER, marks=_needs_key)])
def api(request: pytest.FixtureRequest, settings: Settings, _running: RunningStripe) -> Iterator[Any]:
    """Return a Stripe that the product is pointed at, as its customers and their banks reach it."""
    key, base = KEY, _running.base_url
    if request.param == ANOTHER:
        key = os.environ["STRIPE_TEST_KEY"]
        base = os.environ.get("STRIPE_TEST_BASE", "https://api.stripe.com")
    assert key.startswith("sk_test_")
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = key, base
    _running.referee.faults.clear()
    addresses: Any = {"api": base}
    yield stripe.StripeClient(
        key, base_addresses=addresses, stripe_version=API_VERSION, max_network_retries=2
    ).v1
    assert _running.referee.faults == []


@pytest.fixture
def ada(api: Any) -> Organization:
    return make_organization(f"{new_id('user')}@example.com")


def save_card(api: Any, organization: Organization, token: str) -> PaymentMethod:
    """Save one of Stripe's cards that behave as they are called."""
    customer = customers.customer_of(organization).stripe_id
    made = api.payment_methods.create({"type": "card", "card": {"token": token}})
    saved = api.payment_methods.attach(made.id, {"customer": customer})
    cards.sync(organization)
    return PaymentMethod.objects.get(stripe_id=saved.id)


@contextmanager
def where_there_is_that() -> Iterator[None]:
    """Skip what another fake does not know at all; ours knows everything here."""
    try:
        yield
    except (StripeRefused, stripe.InvalidRequestError) as exc:
        if settings.STRIPE_SECRET_KEY == KEY or not re.search(
            "Unrecognized request URL|Invalid token id", str(exc)
        ):
            raise
        pytest.skip(f"This Stripe lacks it: {exc}")


def eventually(look: Callable[[], object], what: str) -> None:
    """Return once it is so; Stripe tells of some things a little later."""
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(LOOK_EVERY_S)


def test_a_saved_card_fills_the_balance_and_a_part_goes_back(api: Any, ada: Organization) -> None:
    save_card(api, ada, "tok_visa")
    switch_on(ada)

    assert auto_topups.consider(ada)
    [top_up] = automatic()
    assert (top_up.status, balance_cents(ada)) == (TopUpStatus.SUCCEEDED, 5_000)

    wanted = refunds.request(top_up=top_up, cents=1_200, actor="user:1")
    sync.send_refund(wanted)
    wanted.refresh_from_db()
    assert wanted.stripe_id
    assert wanted.status in {RefundStatus.SUCCEEDED, RefundStatus.PENDING}
    assert balance_cents(ada) == 3_800
    assert api.payment_intents.retrieve(top_up.stripe_intent).amount_received == 5_000


def test_a_declined_card_is_left_alone_for_an_hour(api: Any, ada: Organization) -> None:
    with where_there_is_that():
        save_card(api, ada, "tok_chargeCustomerFail")
    switch_on(ada)

    assert auto_topups.consider(ada)

    assert (automatic()[0].status, balance_cents(ada)) == (TopUpStatus.FAILED, 0)
    assert setting_of(ada).failures == 1
    assert not auto_topups.consider(ada, now=timezone.now() + timedelta(minutes=59))


def test_a_dispute_takes_the_credit_back(api: Any, ada: Organization) -> None:
    save_card(api, ada, "tok_createDispute")
    switch_on(ada)
    auto_topups.consider(ada)
    [top_up] = automatic()

    def is_taken_back() -> bool:
        sync.sync(top_up.stripe_intent or "")
        return balance_cents(ada) == 0

    eventually(is_taken_back, "the dispute")
    assert not auto_topups.consider(ada)


def test_events_alone_make_a_payment_known(api: Any, ada: Organization) -> None:
    card = save_card(api, ada, "tok_visa")
    top_up = TopUp.objects.create(
        organization=ada, amount_cents=700, source="auto", actor="system", card=card
    )
    paid: Any = {
        "amount": 700,
        "currency": "usd",
        "customer": card.customer.stripe_id,
        "payment_method": card.stripe_id,
        "off_session": True,
        "confirm": True,
        "metadata": {"top_up": top_up.pk},
    }
    api.payment_intents.create(paid)

    def is_credited() -> bool:
        events.poll()
        return balance_cents(ada) == 700

    eventually(is_credited, "the event")


def test_a_page_that_is_closed_at_stripe_is_over_here(api: Any, ada: Organization) -> None:
    top_up = checkout.begin(organization=ada, cents=1_000, actor="user:1")
    with where_there_is_that():
        url = checkout.open_page(top_up, success_url=SUCCESS, cancel_url=CANCEL)
    again = checkout.open_page(top_up, success_url=SUCCESS, cancel_url=CANCEL)
    top_up.refresh_from_db()

    api.checkout.sessions.expire(top_up.stripe_session)

    assert url == again
    assert checkout.follow(top_up).status == TopUpStatus.EXPIRED


def test_after_a_customer_was_deleted_the_next_top_up_works(api: Any, ada: Organization) -> None:
    save_card(api, ada, "tok_visa")
    api.customers.delete(StripeCustomer.objects.get(organization=ada).stripe_id)

    top_up = checkout.begin(organization=ada, cents=1_000, actor="user:1")

    with where_there_is_that():
        assert checkout.open_page(top_up, success_url=SUCCESS, cancel_url=CANCEL)
    assert StripeCustomer.objects.filter(organization=ada, deleted_at=None).count() == 1
