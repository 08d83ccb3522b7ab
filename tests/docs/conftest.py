"""The running product, for all snippets of the documentation."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.docs.running import Ran, Reader, run_all
from tests.live.product import LiveProduct


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveProduct]:
    """Run the product with one gateway."""
    database_url, redis_url = os.environ["DATABASE_URL"], os.environ["REDIS_URL"]
    folder = tmp_path_factory.mktemp("docs")
    with LiveProduct(folder, database_url=database_url, redis_url=redis_url, gateways=1) as running:
        yield running


@pytest.fixture(scope="package")
def reader(product: LiveProduct, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Return somebody who has read the documentation and owns what its snippets name."""
    return Reader(product, tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="package")
def ran(reader: Reader) -> Ran:
    """Run every snippet once and return what came of each."""
    return run_all(reader)
