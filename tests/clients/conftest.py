"""The running product, and which clients are driven against it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.environments import CannotInstall, give_up
from tests.clients.running import Report, report_of
from tests.clients.table import CLIENTS, MODELS
from tests.live.product import LiveProduct, live_product

# What a plain test run neither installs nor drives, beside the clients that the table says so of.
_WIDE = ("test_claude_code.py",)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the whole matrix, which ``./dev clients`` asks for."""
    parser.addoption("--all-clients", action="store_true", help="Install and drive every client.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what belongs to the whole matrix alone."""
    return True if collection_path.name in _WIDE and not _is_wide(config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that reads a report that of each client, and a test with a model each model."""
    if "report" in metafunc.fixturenames:
        driven = [client for client in CLIENTS if client.is_everyday or _is_wide(metafunc.config)]
        ids = [client.name for client in driven]
        metafunc.parametrize("report", driven, indirect=True, scope="package", ids=ids)
    if "model" in metafunc.fixturenames:
        metafunc.parametrize("model", MODELS)


def _is_wide(config: pytest.Config) -> bool:
    return bool(config.getoption("--all-clients", default=False))


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveProduct]:
    """Run the product, its upstreams speaking their own formats."""
    with live_product(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.fixture(scope="package")
def report(
    request: pytest.FixtureRequest, product: LiveProduct, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    """Return what the client saw of every model and case; a failed test shows what was logged."""
    product.new_log_lines()
    try:
        return report_of(request.param, product, tmp_path_factory.mktemp(request.param.name))
    except CannotInstall as exc:
        give_up(f"{request.param.name} is not tested: {exc}.")
    finally:
        sys.stdout.write(product.new_log_lines())
