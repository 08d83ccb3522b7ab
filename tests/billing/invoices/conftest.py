"""Whoever gets an invoice buys at the fake Stripe."""

from __future__ import annotations

from tests.billing.stripe.conftest import _running, ada, buy, fake, shop

__all__ = ["_running", "ada", "buy", "fake", "shop"]
