"""Child processes that never outlive us, and keeping a set of them running."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

Child = subprocess.Popen[bytes]
Start = Callable[[], Child]
# Puts new children into the dictionary and returns the old ones; asks the function whether all shall end meanwhile.
Replace = Callable[[dict[str, Child], Callable[[], bool]], list[Child]]

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_RESTART_PAUSE_S = 1.0
_LOOK_EVERY_S = 0.1


def spawn(
    arguments: Sequence[str | Path], *, death_signal: signal.Signals = signal.SIGKILL, **options: Any
) -> Child:
    """Start a child in its own session; on Linux it gets ``death_signal`` when we die, however we die.

    Call it from the main thread: the kernel ties the signal to the thread that forked.
    """
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_tie_to_parent(death_signal, os.getpid()),  # noqa: PLW1509 - callers run no other threads
        **options,
    )


def stop(child: Child, *, with_signal: signal.Signals = signal.SIGTERM, grace_s: float) -> None:
    """Ask a child to end, wait, and kill what is left of its session."""
    if child.poll() is None:
        child.send_signal(with_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_s)
    kill(child)


def kill(child: Child) -> None:
    """End a child and its session now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def keep_running(
    starts: dict[str, Start],
    *,
    grace_s: float,
    replace: Replace | None = None,
    before_end: Callable[[], object] = lambda: None,
) -> None:
    """Run the named children and restart each that ends, until SIGTERM or SIGINT.

    All but the last are then asked to end together; the last carries on their work, so it follows. SIGHUP has
    ``replace`` put others in their place; it returns those that still have something to end.
    """
    stopping = _requested(signal.SIGTERM, signal.SIGINT)
    reloading = _requested(signal.SIGHUP) if replace else []
    children = {name: start() for name, start in starts.items()}
    leaving: list[Child] = []
    due: dict[str, float] = {}
    while not stopping:
        _restart_ended(children, starts, due)
        leaving = [child for child in leaving if child.poll() is None]
        if replace and reloading:
            reloading.clear()
            leaving += replace(children, lambda: bool(stopping))
        time.sleep(_LOOK_EVERY_S)
    before_end()
    _end([*leaving, *children.values()], grace_s)


def _restart_ended(children: dict[str, Child], starts: dict[str, Start], due: dict[str, float]) -> None:
    for name in [name for name, child in children.items() if child.poll() is not None]:
        if name not in due:
            logger.error("children.ended", extra={"child": name, "status": children[name].returncode})
            due[name] = time.monotonic() + _RESTART_PAUSE_S
        elif time.monotonic() >= due[name]:
            del due[name]
            kill(children[name])
            children[name] = starts[name]()


def _end(children: Sequence[Child], grace_s: float) -> None:
    *first, last = children
    for child in first:
        if child.poll() is None:
            child.terminate()
    for child in (*first, last):
        stop(child, grace_s=grace_s)


def _requested(*numbers: signal.Signals) -> list[int]:
    """Return the list that grows with each of these signals."""
    received: list[int] = []
    for number in numbers:
        signal.signal(number, lambda signal_number, _frame: received.append(signal_number))
    return received


def _tie_to_parent(death_signal: signal.Signals, parent: int) -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            os._exit(1)

    return tie
