"""The running product, and for each upstream protocol a model that is reached through it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.live.product import CHANGES_ARRIVE_S, LiveProduct, live_product


@pytest.fixture(scope="session")
def matrix_product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveProduct]:
    """Run the product with one gateway process."""
    with live_product(tmp_path_factory.mktemp("matrix")) as product:
        # A host of open models: plain chat completions and nothing else.
        product.add_channel(product.sandboxes[0].base_url, provider="groq")
        time.sleep(CHANGES_ARRIVE_S)
        yield product


@pytest.fixture(scope="session")
def http(matrix_product: LiveProduct) -> Iterator[httpx2.Client]:
    """Return a bare client with the key of a customer who has enough."""
    _, key = matrix_product.new_customer(credit_cents=100_000)
    headers = {"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}
    with httpx2.Client(base_url=matrix_product.base_url, headers=headers, timeout=30) as client:
        yield client
