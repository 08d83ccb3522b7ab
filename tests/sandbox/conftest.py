"""A sandbox on a real socket and the official client pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.live.sandbox import LiveSandbox


@pytest.fixture(scope="session")
def _running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSandbox]:
    sandbox = LiveSandbox(Path(tmp_path_factory.mktemp("sandbox")) / "sandbox.log")
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(_running_sandbox: LiveSandbox) -> LiveSandbox:
    """Return a sandbox that was asked nothing yet."""
    _running_sandbox.reset()
    return _running_sandbox


@pytest.fixture
def client(sandbox: LiveSandbox) -> Iterator[OpenAI]:
    """Return the SDK as anyone would use it, without its own retries."""
    with OpenAI(base_url=sandbox.base_url, api_key="none needed", max_retries=0) as client:
        yield client
