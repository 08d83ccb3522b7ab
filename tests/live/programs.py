"""Child processes of tests, ended by their own id."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fastanchor.children import Child, spawn, stop

ROOT = Path(__file__).resolve().parents[2]

_GRACE_S = 10.0
_PAUSE_S = 0.02


class Program:
    """One Python program of the project, its output in a file."""

    def __init__(
        self, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._arguments = [sys.executable, *arguments]
        self._environment = {**os.environ, **(environment or {})}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.log = log
        self._seen = 0
        self.process = self._spawn()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    def is_running(self) -> bool:
        """Say whether the program still runs."""
        return self.process.poll() is None

    def output(self) -> str:
        """Return everything it printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def new_output(self) -> str:
        """Return what it printed since this was last called."""
        before, self._seen = self._seen, self.log.stat().st_size
        return self.log.read_bytes()[before : self._seen].decode("utf-8", "replace")

    def stop(self, *, grace_s: float = _GRACE_S) -> None:
        """Ask it to end; kill it when it does not."""
        stop(self.process, with_signal=signal.SIGTERM, grace_s=grace_s)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start it again with the same arguments."""
        self.stop()
        self.process = self._spawn()

    def _spawn(self) -> Child:
        with self.log.open("ab") as output:
            return spawn(self._arguments, cwd=ROOT, env=self._environment, stdout=output, stderr=output)


def free_port() -> int:
    """Return a TCP port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(holds: Callable[[], bool], *, what: str, within_s: float = 30.0) -> None:
    """Return once ``holds()``; raises ``TimeoutError`` naming ``what`` was awaited."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            message = f"Waited {within_s:g} s in vain until {what}."
            raise TimeoutError(message)
        time.sleep(_PAUSE_S)
