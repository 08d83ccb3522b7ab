"""The address for Stripe's events: what it takes, what it refuses, and that it only ever gives hints."""

from __future__ import annotations

import json
import time

import pytest
import stripe
from django.test import Client
from pytest_django import Settings

from accounts.models import Organization
from billing import events, wallets
from billing.models import Journal, JournalKind, StripeEvent, TopUpStatus
from tests.billing.stripe.shop import Shop
from tests.fakestripe.running import SECRET

URL = "/webhooks/stripe/"

pytestmark = pytest.mark.django_db


def body_of(shop: Shop, kind: str = "payment_intent.succeeded") -> bytes:
    """Return the newest event of a kind as Stripe would send it."""
    (event,) = shop.api.events.list({"type": kind, "limit": 1}).data
    return json.dumps(event.to_dict()).encode()


def signature(body: bytes, *, secret: str = SECRET, age_s: int = 0) -> str:
    """Sign as Stripe does."""
    stamp = int(time.time()) - age_s
    return str(stripe.WebhookSignature.generate_signature_header(body.decode(), secret, stamp))


def send(client: Client, body: bytes, header: str | None) -> int:
    """Deliver, and return the status."""
    headers = {} if header is None else {"Stripe-Signature": header}
    return client.post(URL, body, content_type="application/json", headers=headers).status_code


@pytest.fixture
def client() -> Client:
    """Return a client that Django's own protection of forms would stop."""
    return Client(enforce_csrf_checks=True)


def test_an_event_credits_the_payment_once_however_often_it_comes(
    client: Client, shop: Shop, ada: Organization
) -> None:
    top_up = shop.pay(ada, 1_000)
    body = body_of(shop)

    statuses = [send(client, body, signature(body)) for _ in range(3)]

    top_up.refresh_from_db()
    assert (statuses, top_up.status) == ([200, 200, 200], TopUpStatus.SUCCEEDED)
    assert wallets.of(ada).balance_nano == 10_000_000_000
    event = StripeEvent.objects.get()
    assert (event.attempts, event.processed_at is not None) == (1, True)


def test_two_kinds_of_event_about_one_payment_credit_once(
    client: Client, shop: Shop, ada: Organization
) -> None:
    shop.pay(ada, 1_000)

    for kind in ("checkout.session.completed", "charge.succeeded", "payment_intent.succeeded"):
        body = body_of(shop, kind)
        assert send(client, body, signature(body)) == 200

    assert Journal.objects.filter(kind=JournalKind.TOP_UP).count() == 1


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        "t=,v1=",
        "t=99999999999999,v1=00",
        "v1=00",
    ],
)
def test_what_is_not_signed_leaves_no_trace(
    client: Client, shop: Shop, ada: Organization, header: str | None
) -> None:
    shop.pay(ada)

    assert send(client, body_of(shop), header) == 400
    assert not StripeEvent.objects.exists()


@pytest.mark.parametrize("age_s", [301, -301, -3600])
def test_a_signature_of_another_time_is_refused(
    client: Client, shop: Shop, ada: Organization, age_s: int
) -> None:
    shop.pay(ada)
    body = body_of(shop)

    assert send(client, body, signature(body, age_s=age_s)) == 400
    assert not StripeEvent.objects.exists()


def test_another_secret_or_another_body_is_refused(client: Client, shop: Shop, ada: Organization) -> None:
    shop.pay(ada)
    body = body_of(shop)

    assert send(client, body, signature(body, secret="whsec_of_somebody")) == 400
    assert send(client, body.replace(b"succeeded", b"exceeded"), signature(body)) == 400
    assert send(client, b"\xff\xfe", signature(body)) == 400
    assert not StripeEvent.objects.exists()


def test_while_a_secret_is_rotated_both_are_good(
    client: Client, shop: Shop, ada: Organization, settings: Settings
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", SECRET]
    shop.pay(ada)
    body = body_of(shop)

    old = send(client, body, signature(body))
    both = f"{signature(body, secret='whsec_new')},{signature(body).split(',')[1]}"

    assert (old, send(client, body, both)) == (200, 200)


def test_a_large_body_is_refused_before_it_is_looked_at(client: Client, shop: Shop) -> None:
    body = b'{"padding": "' + b"x" * 256 * 1024 + b'"}'

    assert send(client, body, signature(body)) == 400
    assert not StripeEvent.objects.exists()


def test_without_a_secret_nothing_is_believed(client: Client, shop: Shop, settings: Settings) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = []

    assert send(client, b"{}", signature(b"{}", secret="x")) == 503


def test_an_event_that_failed_is_not_taken_for_done(client: Client, shop: Shop, ada: Organization) -> None:
    shop.pay(ada, 1_000)
    body = body_of(shop)
    shop.fake.order("faults", {"faults": [{"status": 500, "path": "/v1/payment_intents"}]})

    failed = send(client, body, signature(body))
    event = StripeEvent.objects.get()
    shop.fake.order("faults", {"faults": []})
    again = send(client, body, signature(body))

    assert (failed, event.processed_at, "StripeUnavailable" in event.error) == (500, None, True)
    assert (again, wallets.of(ada).balance_nano) == (200, 10_000_000_000)


def test_the_poll_finds_what_no_webhook_has_brought(shop: Shop, ada: Organization) -> None:
    shop.pay(ada, 1_000)
    shop.pay(ada, 2_000)

    first, second = events.poll(), events.poll()

    assert (first > 0, second) == (True, 0)
    assert wallets.of(ada).balance_nano == 30_000_000_000


def test_an_event_that_the_poll_could_not_process_comes_again(shop: Shop, ada: Organization) -> None:
    shop.pay(ada, 1_000)
    shop.fake.order("faults", {"faults": [{"status": 500, "path": "/v1/payment_intents"}]})

    events.poll()
    shop.fake.order("faults", {"faults": []})
    shop.fake.order("clock", {"advance_s": 2 * 3600})
    events.poll()

    assert wallets.of(ada).balance_nano == 10_000_000_000
