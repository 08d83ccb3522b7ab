"""Stripe's own command line runs Stripe's own fixtures against the fake, and the product takes every event of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from billing.models import Journal, StripeEvent
from tests.clients.environments import NODE_PACKAGES, CannotInstall, give_up, node_folder_of
from tests.fakestripe.buying import kinds_of
from tests.fakestripe.receiver import Receiver
from tests.fakestripe.running import KEY, SECRET, RunningStripe

_LOCKS = Path(__file__).parent / "node"
_TRIGGERED = (
    "charge.captured",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.failed",
    "charge.refund.updated",
    "charge.refunded",
    "charge.succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "credit_note.created",
    "credit_note.updated",
    "credit_note.voided",
    "customer.created",
    "customer.deleted",
    "customer.updated",
    "invoice.created",
    "invoice.deleted",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.sent",
    "invoice.updated",
    "invoice.voided",
    "invoiceitem.created",
    "invoiceitem.deleted",
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.created",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "payment_method.attached",
    "payment_method.detached",
    "payment_method.updated",
    "payout.created",
    "payout.updated",
    "price.created",
    "price.updated",
    "product.created",
    "product.deleted",
    "product.updated",
    "setup_intent.canceled",
    "setup_intent.created",
    "setup_intent.requires_action",
    "setup_intent.setup_failed",
    "setup_intent.succeeded",
)


@pytest.fixture(scope="session")
def cli() -> Path:
    """Return Stripe's program, installed once; without npm the tests are skipped, but never in CI."""
    if shutil.which("npm") is None:
        give_up("npm is not installed.")
    try:
        folder = node_folder_of("stripe-cli", _LOCKS)
    except CannotInstall as exc:
        give_up(f"Stripe's CLI is not tested: {exc}.")
    return folder / NODE_PACKAGES / "@stripe" / "cli-linux-x64" / "bin" / "stripe"


@pytest.fixture(scope="module")
def _receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def wired(_receiver: Receiver) -> Iterator[RunningStripe]:
    running = RunningStripe(webhook_url=_receiver.url)
    yield running
    running.stop()


@pytest.fixture
def receiver(_receiver: Receiver, wired: RunningStripe, settings: Settings) -> Receiver:
    """Return what the fake delivers to; the product speaks to the same fake."""
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = KEY, wired.base_url
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    wired.deliveries()
    wired.reset()
    wired.referee.faults.clear()
    _receiver.clear()
    return _receiver


def trigger(cli: Path, home: Path, base_url: str, kind: str) -> subprocess.CompletedProcess[str]:
    """Let Stripe's program play its fixture of an event."""
    return subprocess.run(
        [cli, "trigger", kind, "--api-base", base_url, "--api-key", KEY],
        env={"HOME": str(home), "PATH": os.defpath, "STRIPE_CLI_TELEMETRY_OPTOUT": "1"},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


@pytest.mark.django_db
@pytest.mark.parametrize("kind", _TRIGGERED)
def test_stripes_own_fixture_brings_about_its_event_and_the_product_takes_all_that_come_of_it(
    cli: Path, receiver: Receiver, wired: RunningStripe, tmp_path: Path, kind: str
) -> None:
    done = trigger(cli, tmp_path, wired.base_url, kind)
    # Some fixtures pay from bank accounts, which take three seconds.
    wired.order("clock", {"advance_s": 4})
    delivered = wired.deliveries()

    assert done.returncode == 0, done.stdout + done.stderr
    assert kind in kinds_of(wired.client())
    assert {each["outcome"] for each in delivered} == {"sent"}
    product = Client()
    taken = [
        (event.type, take(product, body, signed))
        for event, body, signed in zip(receiver.events, receiver.bodies, receiver.signatures, strict=True)
    ]
    assert taken == [(each["type"], 200) for each in delivered]
    assert StripeEvent.objects.exclude(processed_at=None).count() == len(delivered)
    # None of these payments is a customer's; what is paid out leaves for the bank all the same.
    assert not Journal.objects.exclude(organization=None).exists()
    assert Journal.objects.exists() == kind.startswith("payout.")
    for body in receiver.bodies:
        wired.referee.judge_event(json.loads(body))
    assert wired.referee.faults == []


def take(product: Client, body: bytes, signature: str) -> int:
    """Hand a delivery to the product as it came."""
    headers = {"Stripe-Signature": signature}
    response = product.post("/webhooks/stripe/", body, content_type="application/json", headers=headers)
    return response.status_code
