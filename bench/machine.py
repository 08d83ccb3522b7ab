"""What the bench asks of the machine: started and pinned processes, their CPU time and memory. Linux only."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fastanchor.children import spawn, stop

_CORES = sorted(os.sched_getaffinity(0))
# What is measured has one core for itself; load, upstream, servers and shipper share the other.
MEASURED_CORE, OTHER_CORE = _CORES[0], _CORES[-1]


class StartFailed(Exception):
    """A part of the bench did not come up; the message says which and why."""


def settle_in() -> None:
    """Move this process and all it starts to the other core, and let them open as many files as the machine allows."""
    os.sched_setaffinity(0, {OTHER_CORE})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def started(
    command: Sequence[str | Path],
    *,
    log: Path,
    is_measured: bool = False,
    environ: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process with its output in ``log``, on the measured core if asked; on leaving end it and its session."""
    pinned = ["taskset", "-c", str(MEASURED_CORE), *command] if is_measured else command
    with log.open("wb") as output:
        running = spawn(pinned, stdout=output, stderr=subprocess.STDOUT, env=environ, pass_fds=pass_fds)
    try:
        yield running
    finally:
        stop(running, grace_s=20)


def wait_for(
    running: subprocess.Popen[bytes], log: Path, *, is_ready: Callable[[], bool], patience_s: float
) -> None:
    """Wait until a process is ready; raises ``StartFailed`` with the end of its log when it ends or takes too long."""
    deadline = time.monotonic() + patience_s
    while not is_ready():
        if running.poll() is not None or time.monotonic() > deadline:
            message = f"{running.args!r} did not start:\n{_tail(log)}"
            raise StartFailed(message)
        time.sleep(0.02)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def tree(pid: int) -> set[int]:
    """Return a process and all its descendants."""
    parents = {
        int(entry.name): _parent(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    }
    family, size = {pid}, 0
    while len(family) > size:
        size = len(family)
        family |= {child for child, parent in parents.items() if parent in family}
    return family


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def command_line(pid: int) -> str:
    """Return the words a process was started with; empty when it is gone."""
    return _read(pid, "cmdline").replace("\0", " ")


def cpu_ns(pids: set[int]) -> int:
    """Return the CPU time of these processes so far: all threads, ended ones included, user and system."""
    return sum(_cpu_ns(pid) for pid in pids)


def _cpu_ns(pid: int) -> int:
    # The number of another process's CPU clock, built as clock_getcpuclockid(3) does.
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return 0


def move_to_other_core(pids: set[int]) -> None:
    """Take processes off the measured core, all their threads."""
    for thread in (thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()):
        os.sched_setaffinity(int(thread.name), {OTHER_CORE})


def pss_kb(pids: set[int]) -> int:
    """Return the proportional set size of these processes in kB."""
    lines = "\n".join(_read(pid, "smaps_rollup") for pid in pids).splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
