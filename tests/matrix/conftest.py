"""The running product, and for each upstream protocol a model that is reached through it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.live.product import CHANGES_ARRIVE_S, LiveProduct, live_product
from tests.matrix.expected import CLOUDS
from tests.matrix.speakers import SPEAKERS

# Amazon's requests are signed.
_CREDENTIALS = {"bedrock": "AKIDEXAMPLE:a-secret-access-key"}


@pytest.fixture(scope="package")
def matrix_product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveProduct]:
    """Run the product with one gateway process."""
    with live_product(tmp_path_factory.mktemp("matrix")) as product:
        # Hosts of open models: plain chat completions in two dialects.
        for provider, protocol in (("groq", "openai"), ("mistral", "mistral")):
            product.add_channel(product.sandboxes[0].base_url_of(protocol), provider=provider)
        for protocol, model in CLOUDS.items():
            _deploy(product, protocol, model)
        time.sleep(CHANGES_ARRIVE_S)
        yield product


def _deploy(product: LiveProduct, protocol: str, model: str) -> None:
    """Serve a model through a cloud and nowhere else."""
    product.rows("DELETE FROM catalog_route WHERE model_id = %s RETURNING id", model)
    for sandbox in product.sandboxes:
        product.add_channel(
            sandbox.base_url_of(protocol),
            f"--models={model}",
            provider=protocol,
            adapter=protocol,
            api_key=_CREDENTIALS.get(protocol, "sk-sandbox"),
        )


@pytest.fixture(scope="package")
def clients(matrix_product: LiveProduct) -> Iterator[dict[str, httpx2.Client]]:
    """Return a bare client per format, each with the key of a customer who has enough and a minute limit of its own."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(_client(matrix_product)) for name in SPEAKERS}


def _client(product: LiveProduct) -> httpx2.Client:
    _, key = product.new_customer(credit_cents=100_000)
    headers = {"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}
    return httpx2.Client(base_url=product.base_url, headers=headers, timeout=30)
