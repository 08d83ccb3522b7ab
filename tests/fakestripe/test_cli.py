"""Stripe's own command line runs Stripe's own fixtures against the fake."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.environments import NODE_PACKAGES, CannotInstall, give_up, node_folder_of
from tests.fakestripe.buying import kinds_of
from tests.fakestripe.running import KEY, RunningStripe

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


@pytest.mark.parametrize("kind", _TRIGGERED)
def test_stripes_own_fixture_brings_about_its_event(
    cli: Path, fake: RunningStripe, tmp_path: Path, kind: str
) -> None:
    environment = {"HOME": str(tmp_path), "PATH": os.defpath, "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}

    done = subprocess.run(
        [cli, "trigger", kind, "--api-base", fake.base_url, "--api-key", KEY],
        env=environment,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    # Some fixtures pay from bank accounts, which take three seconds.
    fake.order("clock", {"advance_s": 4})

    assert done.returncode == 0, done.stdout + done.stderr
    assert kind in kinds_of(fake.client())
