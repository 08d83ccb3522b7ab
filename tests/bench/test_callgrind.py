"""The gate on instructions per request: its rule, and the count itself where valgrind is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from bench.callgrind import BUDGET, CEILINGS, COUNTS, excess


def test_two_percent_over_the_budget_is_noise_and_more_is_refused() -> None:
    budget = {"non_stream": 500_000, "refused_401": 50_000}

    assert excess({"non_stream": 509_000, "refused_401": 51_000}, budget) == []
    assert [
        line.split(":")[0] for line in excess({"non_stream": 511_000, "refused_401": 50_000}, budget)
    ] == ["non_stream"]


def test_no_budget_allows_more_than_the_ceiling() -> None:
    assert excess({"non_stream": 900_001}, {"non_stream": 2_000_000})


def test_every_count_has_a_budget_below_its_ceiling() -> None:
    budget = json.loads(BUDGET.read_text(encoding="utf-8"))

    assert set(budget) == {count.scenario.name for count in COUNTS}
    assert all(budget[name] <= ceiling for name, ceiling in CEILINGS.items())


@pytest.mark.timeout(480)
def test_the_hot_path_stays_within_its_instructions() -> None:
    if shutil.which("valgrind") is None:
        assert os.environ.get("CI") != "true", "CI must count instructions: install valgrind."
        pytest.skip("valgrind is not installed (apt-get install valgrind)")

    # Where other tests take the processor away, a stream wakes up more often: what is beyond twice is beyond.
    counted = _count()
    if counted.returncode:
        counted = _count()

    assert counted.returncode == 0, counted.stdout + counted.stderr
    assert "within the budget" in counted.stdout


def _count() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.callgrind"],
        cwd=BUDGET.parent.parent,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
