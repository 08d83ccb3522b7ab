"""The running product, and which clients are driven against it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.clients.environments import CannotInstall
from tests.clients.running import Report, report_of
from tests.clients.table import CLIENTS, MODELS
from tests.live.product import LiveProduct, live_product


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the whole matrix, which ``./dev clients`` asks for."""
    parser.addoption("--all-clients", action="store_true", help="Install and drive every client.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that reads a report that of each client, and a test with a model each model."""
    if "report" in metafunc.fixturenames:
        is_wide = metafunc.config.getoption("--all-clients", default=False)
        driven = [client for client in CLIENTS if client.is_everyday or is_wide]
        ids = [client.name for client in driven]
        metafunc.parametrize("report", driven, indirect=True, scope="session", ids=ids)
    if "model" in metafunc.fixturenames:
        metafunc.parametrize("model", MODELS)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveProduct]:
    """Run the product, its upstreams speaking their own formats."""
    with live_product(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.fixture(scope="session")
def report(
    request: pytest.FixtureRequest, product: LiveProduct, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    """Return what the client saw of every model and case."""
    product.new_log_lines()
    try:
        return report_of(request.param, product, tmp_path_factory.mktemp(request.param.name))
    except CannotInstall as exc:
        give_up(f"{request.param.name} is not tested: {exc}.")
    finally:
        sys.stdout.write(product.new_log_lines())


def give_up(message: str) -> NoReturn:
    """Skip for want of a tool, but never in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
