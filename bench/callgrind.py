"""``python -m bench.callgrind``: machine instructions per request, counted by valgrind and held against budget.json.

Instructions hardly depend on the machine's load (0.5 %), so this is what CI refuses on. ``--write`` sets the budget
to what was measured and 5 %.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import StartFailed, settle_in
from bench.parts import Scenario, Tools, apply_load, build, upstream
from bench.product import Product, WrongMeter, check_books, lone_worker, product
from fastanchor.local.account import CannotStart

BUDGET = Path(__file__).with_name("budget.json")
# What no budget may exceed, whatever is measured.
CEILINGS = {"non_stream": 900_000}
TOLERANCE = 1.02
_HEADROOM = 1.05
_SPARE_REPEATS = 3
# Settlement follows the answer; under valgrind it takes its time.
_AFTERWARDS_S = 0.5
_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Count:
    """One thing to count: the load, how often, and whether the narrow key calls."""

    scenario: Scenario
    repeats: int = 1
    is_narrow: bool = False
    key: str = ""


_SLOW_S = 60.0
_PACED = Count(Scenario("stream_of_100_chunks", 1, _SLOW_S, requests=4, chunks=100, spacing_us=5_000))
WARM_UPS = (
    Count(Scenario("warm_up", 16, _SLOW_S, requests=100)),
    _PACED,
    # The one request of its minute: from here on the narrow key is refused.
    Count(Scenario("spend_narrow", 1, _SLOW_S, requests=1), is_narrow=True),
)
COUNTS = (
    Count(Scenario("refused_429", 16, _SLOW_S, requests=200, status=429), is_narrow=True),
    Count(Scenario("refused_401", 16, _SLOW_S, requests=200, status=401), key="fa_live_no"),
    Count(Scenario("non_stream", 16, _SLOW_S, requests=200), repeats=2),
    _PACED,
)


class Callgrind:
    """A gateway under callgrind, counted only between ``on`` and ``off``."""

    def __init__(self, pid: int, output: Path) -> None:
        self._pid, self._output = pid, output
        self._dumps = 0

    def count(self, run: Callable[[], None]) -> int:
        """Return the instructions that the gateway took while ``run`` ran."""
        self._control("--instr=on")
        run()
        time.sleep(_AFTERWARDS_S)
        self._control("--instr=off")
        self._control("--dump")
        self._dumps += 1
        dump = self._output.with_name(f"{self._output.name}.{self._dumps}")
        found = _TOTALS.search(dump.read_text(encoding="utf-8"))
        assert found is not None
        return int(found[1])

    def _control(self, word: str) -> None:
        subprocess.run(
            ["callgrind_control", word, str(self._pid)], check=True, capture_output=True, timeout=60
        )


class Subject:
    """The worker that is counted, and how many requests it has served in all."""

    def __init__(self, tools: Tools, made: Product, port: int) -> None:
        self._tools, self._made, self._port = tools, made, port
        self.served = 0

    def apply(self, count: Count) -> dict[str, Any]:
        """Apply the load once and return the load generator's figures."""
        customer = self._made.customer
        key = count.key or (customer.narrow_key if count.is_narrow else customer.key)
        figures = apply_load(self._tools, self._made.folder, count.scenario, port=self._port, key=key)
        self.served += figures["served"]
        return figures

    def lowest(self, callgrind: Callgrind, count: Count) -> int:
        """Return the instructions of one request; the lowest of the repeats in which every answer was good.

        Under valgrind the worker is so slow that a busy machine makes its waits for Valkey run out now and then.
        """
        totals: list[int] = []
        figures: dict[str, Any] = {}

        def run() -> None:
            figures.update(self.apply(count))

        for _ in range(count.repeats + _SPARE_REPEATS):
            total = callgrind.count(run)
            if figures["good"] == count.scenario.requests:
                totals.append(total)
            if len(totals) == count.repeats:
                return min(totals) // count.scenario.requests
        message = f"{count.scenario.name}: not all of {count.scenario.requests} answers were good: {figures}"
        raise WrongMeter(message)


def measure(tools: Tools, made: Product) -> dict[str, int]:
    """Return the instructions of one request, or of one whole stream, of each kind."""
    output = made.folder / "callgrind.out"
    options = ["--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}", "--quiet"]
    with lone_worker(made, ["valgrind", *options]) as worker:
        callgrind, subject = Callgrind(worker.pid, output), Subject(tools, made, worker.port)
        for warm_up in WARM_UPS:
            subject.apply(warm_up)
        found = {count.scenario.name: subject.lowest(callgrind, count) for count in COUNTS}
        check_books(made, subject.served)
    return found


def excess(found: dict[str, int], budget: dict[str, int]) -> list[str]:
    """Return one line for each figure beyond its budget and tolerance, or beyond its ceiling."""
    lines = []
    for name, instructions in found.items():
        limit = min(int(budget[name] * TOLERANCE), CEILINGS.get(name, sys.maxsize))
        if instructions > limit:
            lines.append(
                f"{name}: {instructions:,} instructions, {limit:,} are allowed (budget {budget[name]:,})."
            )
    return lines


def _count_all() -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastanchor-callgrind-")))
        folder.chmod(0o711)
        tools = build(folder)
        upstream_port = stack.enter_context(upstream(tools, folder))
        made = stack.enter_context(product(folder, upstream_port))
        return measure(tools, made)


def main() -> int:
    """Count, print, compare; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.callgrind", description=__doc__)
    parser.add_argument("--write", action="store_true", help="set the budget to what was counted and 5 %%")
    words = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind was not found; install it (apt-get install valgrind) to count instructions.")
        return 1
    settle_in()
    try:
        found = _count_all()
    except (StartFailed, CannotStart, WrongMeter) as exc:
        print(exc)
        return 1
    for name, instructions in found.items():
        print(f"{name:24}{instructions:>14,} instructions")
    if words.write:
        budget = {
            name: min(int(instructions * _HEADROOM), CEILINGS.get(name, sys.maxsize))
            for name, instructions in found.items()
        }
        BUDGET.write_text(json.dumps(budget, indent=2) + "\n", encoding="utf-8")
    beyond = excess(found, json.loads(BUDGET.read_text(encoding="utf-8")))
    print("\n".join(beyond) or "within the budget")
    return int(bool(beyond))


if __name__ == "__main__":
    sys.exit(main())
