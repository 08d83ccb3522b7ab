"""Medians, ratios and targets out of runs."""

from __future__ import annotations

from bench.report import Report, cpu, p50
from bench.rounds import Run


def run(number: int, scenario: str, target: str, *, cpu_us: float, p50_us: int = 0, late: int = 0) -> Run:
    figures = {
        "good": 10,
        "seconds": 2.0,
        "late_chunks": late,
        "latency_us": {"p50": p50_us, "p99": 2 * p50_us},
        "chunk_delay_us": {"p50": 1, "p99": 2},
    }
    return Run(number, scenario, target, figures, cpu_us, {"shipper": 7.0})


def report(*, gateway_us: tuple[float, float, float] = (100, 120, 500), late: int = 0) -> Report:
    runs = []
    for number, ours in enumerate(gateway_us, 1):
        for scenario in ("one", "many", "large", "full_speed", "paced"):
            runs.append(run(number, scenario, "direct", cpu_us=0, p50_us=50))
            runs.append(run(number, scenario, "nginx", cpu_us=ours / 10, p50_us=100))
            runs.append(run(number, scenario, "gateway", cpu_us=ours, p50_us=400, late=late * number))
    return Report(runs, "nginx", {"nginx": 16.0, "gateway": 32.0})


def test_ratios_compare_inside_a_round_so_a_slow_round_does_not_matter() -> None:
    assert report().ratio("many", cpu) == 10
    assert report().middle("many", "gateway", cpu) == 120
    assert report().added("one", "gateway", "direct", p50) == 350


def test_each_target_is_met_or_missed_by_its_own_figure() -> None:
    missed = [
        verdict.text
        for verdict in report(gateway_us=(390, 410, 420), late=1).verdicts()
        if not verdict.is_met
    ]

    assert missed == [
        "CPU per non-stream request",
        "CPU per chunk at full speed",
        "CPU per chunk at 5 ms, times nginx",
        "chunks held back over 50 ms in the best round",
    ]


def test_the_table_shows_both_sides_and_the_shipper() -> None:
    lines = report().lines()

    assert any(line.split() == ["CPU", "us", "per", "request", "12.0", "120.0", "10.0x"] for line in lines)
    assert any(line.split() == ["gateway", "and", "shipper", "together", "127.0"] for line in lines)
    assert any(line.split() == ["memory", "per", "stream,", "kB", "16.0", "32.0", "2.0x"] for line in lines)
