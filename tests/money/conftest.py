"""The running product, for what money does in it."""

from __future__ import annotations

from tests.contract.conftest import Customer, client, customer, http, live_gateway, product

__all__ = ["Customer", "client", "customer", "http", "live_gateway", "product"]
