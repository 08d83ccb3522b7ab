from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.programs import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent

PARENT = """
import sys, time
from fastanchor.children import spawn
child = spawn([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""

KEEPER = """
import sys
from pathlib import Path
from fastanchor.children import keep_running, spawn

def start(name):
    code = f'''
import os, signal, sys, time
from pathlib import Path
log = Path(sys.argv[1])
def note(text):
    with log.open("a") as file:
        file.write(text + chr(10))
def end(*_):
    time.sleep(0.2)
    note("{name} ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("{name} " + str(os.getpid()))
time.sleep(60)
'''
    return lambda: spawn([sys.executable, "-c", code, sys.argv[1]])

keep_running({"worker": start("worker"), "shipper": start("shipper")}, grace_s=5)
"""


def _is_alive(process_id: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_a_killed_parent_leaves_no_child() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert _is_alive(child)

    parent.kill()
    parent.communicate()

    wait_until(lambda: not _is_alive(child), what="the child is gone", within_s=5)


def test_a_dead_child_is_started_again_and_the_last_one_ends_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    keeper = subprocess.Popen([sys.executable, "-c", KEEPER, str(log)], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(_lines(log)) == 2, what="both run")
        os.kill(int(_lines(log)[0].split()[1]), signal.SIGKILL)
        wait_until(lambda: len(_lines(log)) == 3, what="the dead one runs again")
        keeper.terminate()

        assert keeper.wait(10) == 0
    finally:
        keeper.kill()
        keeper.wait()
    names = [line.split()[0] for line in _lines(log)]
    assert sorted(names[:2]) == ["shipper", "worker"]
    assert _lines(log)[3:] == ["worker ended", "shipper ended"]


def _lines(log: Path) -> list[str]:
    time.sleep(0.02)
    return log.read_text(encoding="ascii").splitlines() if log.exists() else []
