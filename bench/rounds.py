"""The runs: every scenario against every target in turn, round after round, so that noise meets all of them alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.machine import cpu_ns, pss_kb
from bench.parts import Scenario, Tools, apply_load, loading

# Non-stream replies are compared at rest and at saturation, streams at the upstream's full speed and at a model's.
SCENARIOS = (
    Scenario("one", connections=1, seconds=1.0),
    Scenario("many", connections=64, seconds=2.0),
    Scenario("large", connections=16, seconds=1.0, prompt_bytes=100_000),
    Scenario("full_speed", connections=20, seconds=1.5, chunks=100),
    Scenario("paced", connections=20, seconds=1.5, chunks=100, spacing_us=5_000),
)
OPEN_STREAMS = Scenario(
    "open", connections=1000, seconds=20.0, requests=1000, chunks=20, spacing_us=250_000, ramp_ms=1_000
)
# When all streams of OPEN_STREAMS are open: after the last has begun and before the first ends.
_ALL_OPEN_S = 3.0
# The work that follows an answer (settlement, spool, shipper) belongs to the request.
_AFTERWARDS_S = 0.3

Pids = Callable[[], set[int]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load goes, whose CPU counts, and whose is noted beside it."""

    name: str
    port: int
    processes: Pids = set
    beside: dict[str, Pids] = field(default_factory=dict)
    key: str = "none"


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario against one target; CPU in microseconds per request, or per chunk of a stream."""

    round: int
    scenario: str
    target: str
    figures: dict[str, Any]
    cpu_us: float
    beside_us: dict[str, float]

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return float(self.figures["good"] / self.figures["seconds"])


@dataclass(frozen=True, slots=True)
class Bench:
    """The tools and the folder of one bench."""

    tools: Tools
    folder: Path

    def measure(self, number: int, scenario: Scenario, target: Target) -> Run:
        """Apply the load once and return what it cost."""
        groups = {"": target.processes, **target.beside}
        before = {name: _clocks(pids()) for name, pids in groups.items()}
        figures = apply_load(self.tools, self.folder, scenario, port=target.port, key=target.key)
        time.sleep(_AFTERWARDS_S)
        units = max(1, figures["good"] * (scenario.chunks or 1))
        spent = {name: _spent_us(before[name], pids()) / units for name, pids in groups.items()}
        return Run(number, scenario.name, target.name, figures, spent.pop(""), spent)

    def memory_per_stream(self, target: Target) -> tuple[float, dict[str, Any]]:
        """Return kB of memory for each of a thousand open streams, and the load's figures."""
        before = pss_kb(target.processes())
        with loading(self.tools, self.folder, OPEN_STREAMS, port=target.port, key=target.key) as running:
            time.sleep(_ALL_OPEN_S)
            during = pss_kb(target.processes())
            output, _ = running.communicate(timeout=60)
        return (during - before) / OPEN_STREAMS.connections, json.loads(output)


def _clocks(pids: set[int]) -> dict[int, int]:
    return {pid: cpu_ns({pid}) for pid in pids}


def _spent_us(before: dict[int, int], pids: set[int]) -> float:
    return sum(max(0, now - before.get(pid, 0)) for pid, now in _clocks(pids).items()) / 1000


def run_rounds(bench: Bench, targets: list[Target], *, rounds: int, say: Callable[[str], None]) -> list[Run]:
    """Run every scenario against every target, interleaved."""
    runs = []
    for number in range(1, rounds + 1):
        for scenario in SCENARIOS:
            runs += [bench.measure(number, scenario, target) for target in targets]
        say(f"round {number} of {rounds} done")
    return runs


def as_json(run: Run) -> dict[str, Any]:
    """Return a run as what the result file keeps."""
    return asdict(run) | {"per_second": run.per_second}
