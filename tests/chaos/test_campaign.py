"""Nothing is lost, nothing counts twice and nobody is blamed, whoever is killed."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.campaign import Broken, run
from tests.chaos.faults import VICTIMS

ROUNDS = 20
# In its rounds everybody is killed, and most pairs of them at once.
SEED = 5112


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that the account of PostgreSQL may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="fastanchor-chaos-"))
    yield path
    shutil.rmtree(path)


@pytest.mark.timeout(900)
def test_twenty_rounds_of_kills_lose_and_double_nothing(folder: Path) -> None:
    killed: set[str] = set()
    rounds = 0
    try:
        for result in run(folder, rounds=ROUNDS, seed=SEED, seconds_per_round=3.0):
            sys.stdout.write(f"{result}\n")
            killed |= {fault.victim for fault in result.faults}
            rounds += 1
    except Broken as exc:
        pytest.fail(f"seed {SEED}, after {rounds} rounds: {exc}\n{_last_lines(folder)}")

    assert (rounds, killed) == (ROUNDS, set(VICTIMS))


def _last_lines(folder: Path) -> str:
    logs = [*folder.glob("*.log"), *folder.glob("product/*.log")]
    return "\n".join(
        f"{log.name}:\n" + "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
        for log in sorted(logs)
    )
