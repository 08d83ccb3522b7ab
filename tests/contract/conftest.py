"""The running product, customers of it, and the official clients."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.live.product import LiveProduct, live_product


@dataclass(frozen=True)
class Customer:
    """An organization with credit and a key."""

    organization: str
    key: str


@pytest.fixture(scope="package")
def live_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveProduct]:
    """Run two gateway processes, the shipper and two sandboxes for all tests."""
    with live_product(tmp_path_factory.mktemp("live")) as product:
        yield product


@pytest.fixture
def product(live_gateway: LiveProduct) -> Iterator[LiveProduct]:
    """Return the running product, its sandboxes asked nothing yet; a failed test shows what was logged."""
    for sandbox in live_gateway.sandboxes:
        sandbox.reset()
    live_gateway.new_log_lines()
    yield live_gateway
    sys.stdout.write(live_gateway.new_log_lines())


@pytest.fixture
def customer(product: LiveProduct) -> Customer:
    """Return a new customer with $10 on the pay-as-you-go plan."""
    return Customer(*product.new_customer())


@pytest.fixture
def client(product: LiveProduct, customer: Customer) -> Iterator[OpenAI]:
    """Return the SDK as the customer uses it, but without its retries, so that one call is one call."""
    with OpenAI(base_url=product.base_url, api_key=customer.key, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(product: LiveProduct, customer: Customer) -> AsyncIterator[AsyncOpenAI]:
    """Return the asynchronous SDK of the customer."""
    async with AsyncOpenAI(base_url=product.base_url, api_key=customer.key, max_retries=0) as client:
        yield client


@pytest.fixture
def http(product: LiveProduct, customer: Customer) -> Iterator[httpx2.Client]:
    """Return a bare HTTP client with the customer's key, for what no SDK would send."""
    headers = {"authorization": f"Bearer {customer.key}"}
    with httpx2.Client(base_url=product.base_url, headers=headers, timeout=30) as client:
        yield client
