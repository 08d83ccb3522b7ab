"""Figures out of runs: medians, ratios inside a round, and the targets they are held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.rounds import Run

GATEWAY, DIRECT = "gateway", "direct"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: what it says, what was measured, whether it is met."""

    text: str
    measured: float
    limit: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the figure is within the limit."""
        return self.measured <= self.limit

    def __str__(self) -> str:
        mark = "met   " if self.is_met else "MISSED"
        return f"{mark} {self.text}: {self.measured:,.1f}{self.unit} (limit {self.limit:,.0f}{self.unit})"


@dataclass(frozen=True, slots=True)
class Report:
    """Runs of direct calls, the reference proxy and the gateway, and memory per open stream in kB."""

    runs: list[Run]
    reference: str
    memory_kb: dict[str, float]

    def _each(self, scenario: str, target: str) -> list[Run]:
        return [run for run in self.runs if (run.scenario, run.target) == (scenario, target)]

    def middle(self, scenario: str, target: str, figure: Callable[[Run], float]) -> float:
        """Return the median over the rounds."""
        return median(figure(run) for run in self._each(scenario, target))

    def pairs(
        self, scenario: str, target: str, other: str, figure: Callable[[Run], float]
    ) -> list[tuple[float, float]]:
        """Return the figure of two targets, round by round."""
        both = zip(self._each(scenario, target), self._each(scenario, other), strict=True)
        return [(figure(run), figure(against)) for run, against in both]

    def ratio(self, scenario: str, figure: Callable[[Run], float]) -> float:
        """Return the gateway's figure as a multiple of the reference's, compared inside each round."""
        return median(ours / theirs for ours, theirs in self.pairs(scenario, GATEWAY, self.reference, figure))

    def added(self, scenario: str, target: str, over: str, figure: Callable[[Run], float]) -> float:
        """Return how much more a target takes than another, compared inside each round."""
        return median(ours - theirs for ours, theirs in self.pairs(scenario, target, over, figure))

    def verdicts(self) -> list[Verdict]:
        """Return every target of the hot path with its figure."""
        late = min(run.figures["late_chunks"] for run in self._each("paced", GATEWAY))
        against = f"times {self.reference}"
        return [
            Verdict("CPU per non-stream request", self.middle("many", GATEWAY, cpu), 400, " us"),
            Verdict(f"CPU per non-stream request, {against}", self.ratio("many", cpu), 20),
            Verdict("CPU per chunk at full speed", self.middle("full_speed", GATEWAY, cpu), 12, " us"),
            Verdict(f"CPU per chunk at 5 ms, {against}", self.ratio("paced", cpu), 3),
            Verdict("chunks held back over 50 ms in the best round", late, 0),
            Verdict(f"p50 added to {self.reference}, 1 connection", self.added("one", GATEWAY, self.reference, p50), 1000, " us"),
            Verdict("memory per open stream", self.memory_kb[GATEWAY], 64, " kB"),
        ]  # fmt: skip

    def lines(self) -> list[str]:
        """Return the table, one line a figure: reference, gateway, ratio."""
        head = f"{'':46}{self.reference:>12}{'gateway':>12}{'ratio':>8}"
        return [head, *self._request_lines(), *self._stream_lines(), *self._beside_lines()]

    def _request_lines(self) -> list[str]:
        lines = []
        for scenario, title in (
            ("one", "1 connection"),
            ("many", "64 connections"),
            ("large", "100 kB, 16 connections"),
        ):
            lines.append(f"non-stream, {title}")
            lines.append(self._line(scenario, "CPU us per request", cpu))
            lines.append(self._line(scenario, "requests per second", lambda run: run.per_second))
            lines.append(self._added_line(scenario, "p50 added to direct, us", p50))
            lines.append(self._added_line(scenario, "p99 added to direct, us", p99))
        return lines

    def _stream_lines(self) -> list[str]:
        lines = []
        for scenario, title in (("full_speed", "full speed"), ("paced", "5 ms spacing")):
            lines.append(f"20 streams of 100 chunks, {title}")
            lines.append(self._line(scenario, "CPU us per chunk", cpu))
            lines.append(self._line(scenario, "chunk delay p50, us", chunk_p50))
            lines.append(self._line(scenario, "chunk delay p99, us", chunk_p99))
        ours, theirs = self.memory_kb[GATEWAY], self.memory_kb[self.reference]
        return [
            *lines,
            "1,000 open streams",
            _row("memory per stream, kB", theirs, ours, ours / max(theirs, 0.1)),
        ]

    def _beside_lines(self) -> list[str]:
        lines = ["beside the gateway, CPU us per request at 64 connections"]
        names = self._each("many", GATEWAY)[0].beside_us
        lines += [_row(name, None, self.middle("many", GATEWAY, beside(name)), None) for name in names]
        both = self.middle("many", GATEWAY, lambda run: cpu(run) + beside("shipper")(run))
        return [*lines, _row("gateway and shipper together", None, both, None)]

    def _line(self, scenario: str, title: str, figure: Callable[[Run], float]) -> str:
        theirs, ours = (self.middle(scenario, target, figure) for target in (self.reference, GATEWAY))
        return _row(title, theirs, ours, self.ratio(scenario, figure))

    def _added_line(self, scenario: str, title: str, figure: Callable[[Run], float]) -> str:
        theirs, ours = (self.added(scenario, target, DIRECT, figure) for target in (self.reference, GATEWAY))
        return _row(title, theirs, ours, None)


def _row(title: str, theirs: float | None, ours: float, ratio: float | None) -> str:
    left = "" if theirs is None else f"{theirs:,.1f}"
    return f"  {title:44}{left:>12}{ours:>12,.1f}{'' if ratio is None else f'{ratio:.1f}x':>8}"


def cpu(run: Run) -> float:
    """Return the CPU of the target's processes in microseconds per request or chunk."""
    return run.cpu_us


def beside(name: str) -> Callable[[Run], float]:
    """Return the CPU of other processes, noted beside the target's, in microseconds per request or chunk."""
    return lambda run: run.beside_us.get(name, 0.0)


def p50(run: Run) -> float:
    """Return the median latency in microseconds."""
    return float(run.figures["latency_us"]["p50"])


def p99(run: Run) -> float:
    """Return the latency in microseconds that one answer in a hundred exceeds."""
    return float(run.figures["latency_us"]["p99"])


def chunk_p50(run: Run) -> float:
    """Return the median time from the upstream's write to the client's read, in microseconds."""
    return float(run.figures["chunk_delay_us"]["p50"])


def chunk_p99(run: Run) -> float:
    """Return the time that one chunk in a hundred exceeds."""
    return float(run.figures["chunk_delay_us"]["p99"])
