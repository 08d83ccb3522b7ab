from __future__ import annotations

import io
import os
import signal
import sys
import time

import pytest

from fastanchor.local.supervisor import ChildEnded, Supervisor

ECHO = "import sys, time; print('ready', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {ECHO}"


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_lines_of_children_carry_their_names() -> None:
    out = io.StringIO()
    supervisor = Supervisor(out)
    supervisor.start("web", _python(ECHO))

    supervisor.run(until=lambda: bool(out.getvalue()))
    supervisor.stop(grace_s=5)

    assert out.getvalue() == "web      | ready\n"


def test_the_end_of_one_child_is_told_with_its_last_line() -> None:
    out = io.StringIO()
    supervisor = Supervisor(out)
    supervisor.start("worker", _python("import sys; print('no broker'); sys.exit(3)"))

    with pytest.raises(ChildEnded, match="worker ended with status 3"):
        supervisor.run(until=lambda: False)

    assert "worker   | no broker\n" in out.getvalue()
    supervisor.kill()


def test_a_child_that_ignores_the_request_to_end_is_killed() -> None:
    out = io.StringIO()
    supervisor = Supervisor(out)
    supervisor.start("web", _python(STUBBORN))
    supervisor.run(until=lambda: bool(out.getvalue()))
    began = time.monotonic()

    supervisor.stop(grace_s=0.4)

    assert time.monotonic() - began < 3
    assert supervisor._children["web"].returncode == -signal.SIGKILL


def test_output_without_a_reader_does_not_keep_children_from_being_stopped() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    gone = os.fdopen(writing, "w")
    supervisor = Supervisor(gone)
    supervisor.start("web", _python(ECHO))
    deadline = time.monotonic() + 1

    supervisor.run(until=lambda: time.monotonic() > deadline)
    supervisor.stop(grace_s=5)

    assert supervisor._children["web"].returncode == -signal.SIGTERM
    with pytest.raises(BrokenPipeError):
        gone.close()
