"""What a reload does with processes, played by programs that do nothing."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from fastanchor import workers
from fastanchor.children import Child, kill, spawn

_SERVES = "import os, sys, time; os.write(int(sys.argv[1]), b'1'); time.sleep(60)"
_WAITS = "import time; time.sleep(60)"
_ENDS = "raise SystemExit(1)"


def program(code: str, *arguments: str, pass_fds: tuple[int, ...] = ()) -> Child:
    return spawn([sys.executable, "-c", code, *arguments], pass_fds=pass_fds)


@pytest.fixture
def children() -> Iterator[dict[str, Child]]:
    # Under nohup the signal is ignored, which is inherited.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    started = {"worker-1": program(_WAITS), "shipper": program(_WAITS)}
    everything = dict(started)
    yield started
    signal.signal(signal.SIGHUP, before)
    for child in (*everything.values(), *started.values()):
        kill(child)


def replaced_by(patch: pytest.MonkeyPatch, code: str) -> None:
    """Let successors run this code, with the descriptor that they shall write to."""

    def start(_descriptor: int, *arguments: str, pass_fds: tuple[int, ...]) -> Child:
        return program(code, *arguments[1:], pass_fds=pass_fds[1:])

    patch.setattr(workers, "_worker", start)
    patch.setattr(workers, "_ship", lambda: program(_WAITS))


def test_a_successor_that_serves_takes_the_place_of_the_old_one(
    children: dict[str, Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced_by(monkeypatch, _SERVES)
    old = dict(children)

    leaving = workers._replace(children, 0, lambda: False)

    assert leaving == [old["worker-1"]]
    assert old["worker-1"].wait(5) == -signal.SIGHUP
    assert children["worker-1"].poll() is None
    assert children["shipper"] is not old["shipper"]


def test_where_no_successor_comes_up_the_old_processes_go_on(
    children: dict[str, Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced_by(monkeypatch, _ENDS)
    old = dict(children)

    assert workers._replace(children, 0, lambda: False) == []

    assert children == old
    assert all(child.poll() is None for child in old.values())


def test_a_successor_that_does_not_come_up_in_time_is_ended(
    children: dict[str, Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced_by(monkeypatch, _WAITS)
    monkeypatch.setattr(workers, "_START_S", 0.3)

    assert workers._replace(children, 0, lambda: False) == []

    assert children["worker-1"].poll() is None
