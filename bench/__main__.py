"""``python -m bench``: the gateway beside a bare proxy, measured in one go; see README.md for what the figures mean."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.machine import StartFailed, settle_in, tree
from bench.parts import Reference, Scenario, build, reference, upstream
from bench.product import Gateway, Product, WrongMeter, check_books, gateway, product
from bench.report import DIRECT, GATEWAY, Report
from bench.rounds import Bench, Run, Target, as_json, run_rounds
from fastanchor.local.account import CannotStart

_RESULTS = Path(__file__).with_name("results")
_WARM_UP = Scenario("warm_up", connections=16, seconds=10.0, requests=500)


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take the medians of (3)")
    parser.add_argument(
        "--bare", action="store_true", help="compare with the bare proxy in Python even if nginx is there"
    )
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def _stage(*, wants_nginx: bool) -> Iterator[tuple[Bench, int, Reference]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastanchor-bench-")))
        folder.chmod(0o711)
        tools = build(folder)
        if not tools.is_native:
            _say("gcc was not found: load and upstream run in Python, and cost more than what they measure.")
        upstream_port = stack.enter_context(upstream(tools, folder))
        proxy = stack.enter_context(reference(upstream_port, folder, wants_nginx=wants_nginx))
        if proxy.name != "nginx":
            _say(
                "nginx was not found or not wanted: compared with a bare proxy in Python, about 1.4 times nginx."
            )
        yield Bench(tools, folder), upstream_port, proxy


def _targets(upstream_port: int, proxy: Reference, made: Product, ours: Gateway) -> list[Target]:
    servers = {server.name: server.process.pid for server in made.servers.processes}
    beside = {name: lambda pid=pid: tree(pid) for name, pid in servers.items()}
    return [
        Target(DIRECT, upstream_port),
        Target(proxy.name, proxy.port, lambda: tree(proxy.pid)),
        Target(GATEWAY, ours.port, ours.processes, {"shipper": ours.shippers, **beside}, made.customer.key),
    ]


def _measure(words: argparse.Namespace) -> tuple[Report, dict[str, Any]]:
    with _stage(wants_nginx=not words.bare) as (bench, upstream_port, proxy), contextlib.ExitStack() as stack:
        made = stack.enter_context(product(bench.folder, upstream_port))
        ours = stack.enter_context(gateway(made))
        targets = _targets(upstream_port, proxy, made, ours)
        warm = bench.measure(0, _WARM_UP, targets[2])
        _say(f"gateway is up and warm; comparing with {proxy.name}")
        runs = run_rounds(bench, targets, rounds=words.rounds, say=_say)
        memory = {target.name: bench.memory_per_stream(target) for target in targets[1:]}
        held = [figures for _, figures in memory.values()]
        _refuse_failures([*(run.figures for run in runs), *held, warm.figures])
        ours_only = [run.figures for run in [*runs, warm] if run.target == GATEWAY] + [memory[GATEWAY][1]]
        served = sum(figures["served"] for figures in ours_only)
        found = check_books(made, served)
        _say(
            f"books agree: {found.usage_records} usage records, {found.cost_nano} nano-USD, {found.holds} holds"
        )
    report = Report(runs, proxy.name, {name: kilobytes for name, (kilobytes, _) in memory.items()})
    return report, _result(runs, report, served)


def _refuse_failures(figures: list[dict[str, Any]]) -> None:
    failed = [each for each in figures if each["bad"] or each["errors"]]
    if failed:
        message = f"{len(failed)} of {len(figures)} runs had bad answers or errors: {failed[0]}"
        raise WrongMeter(message)


def _result(runs: list[Run], report: Report, served: int) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "reference": report.reference,
        "served": served,
        "memory_kb_per_stream": report.memory_kb,
        "targets": [
            {"text": each.text, "measured": each.measured, "limit": each.limit} for each in report.verdicts()
        ],
        "runs": [as_json(run) for run in runs],
    }


def _keep(result: dict[str, Any]) -> Path:
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{result['at'].replace(':', '')}.json"
    path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return path


def main() -> int:
    """Measure, print, keep; return the exit code."""
    words = _words()
    settle_in()
    try:
        report, result = _measure(words)
    except (StartFailed, CannotStart, WrongMeter) as exc:
        _say(str(exc))
        return 1
    verdicts = report.verdicts()
    _say("\n".join(["", *report.lines(), "", *map(str, verdicts), "", f"kept in {_keep(result)}"]))
    return int(words.strict and not all(verdict.is_met for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
