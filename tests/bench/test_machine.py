"""CPU time, memory and descendants of other processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.machine import command_line, cpu_ns, pss_kb, started, tree, wait_for

BURN_IN_A_THREAD = """
import sys, threading, time
def burn():
    while time.thread_time() < 0.2: pass
thread = threading.Thread(target=burn)
thread.start(); thread.join()
print("done", flush=True)
sys.stdin.read()
"""


def lines_of(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


def test_cpu_of_a_thread_that_has_ended_still_counts() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BURN_IN_A_THREAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        spent = cpu_ns({child.pid})
        memory = pss_kb({child.pid})

    assert 0.2e9 <= spent < 2e9
    assert memory > 1_000


def test_a_tree_holds_children_of_children_and_leaving_ends_them(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {pids}; sh -c 'sleep 61 & echo $! >> {pids}; wait' & wait"
    with started(["sh", "-c", script], log=tmp_path / "log") as running:
        wait_for(running, tmp_path / "log", is_ready=lambda: lines_of(pids) == 2, patience_s=10)
        found = tree(running.pid)
        sleepers = {int(line) for line in pids.read_text().split()}

    assert sleepers < found
    assert running.pid in found
    deadline = time.monotonic() + 5
    # A process that has ended has no command line, even while nobody has reaped it.
    while any(command_line(pid) for pid in sleepers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [command_line(pid) for pid in sleepers] == ["", ""]
