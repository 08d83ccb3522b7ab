"""PostgreSQL and Valkey of the campaign alone: durable, killed without warning, started again on the same files."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from fastanchor.local.account import CannotStart
from fastanchor.local.servers import Server, start_servers

_ADDRESSES = {"postgresql": "DATABASE_URL", "valkey": "REDIS_URL"}
# PostgreSQL does not start before the last process of its predecessor has let go of the shared memory.
_TRIES = 20
_PAUSE_S = 0.1


class OwnServer:
    """One of the two servers; its folder is locked by the caller."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._server, self.url = _start(name, folder)

    @property
    def pid(self) -> int:
        """Return the id of its first process."""
        return self._server.process.pid

    def kill(self) -> None:
        """End every process of it at once, as a crash of the machine would."""
        children = _children(self._server.process.pid)
        self._server.process.kill()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._server.process.wait()

    def revive(self) -> None:
        """Start it again; it answers when this returns."""
        for _ in range(_TRIES):
            with contextlib.suppress(CannotStart):
                self._server, _ = _start(self.name, self._folder)
                return
            time.sleep(_PAUSE_S)
        self._server, _ = _start(self.name, self._folder)

    def stop(self) -> None:
        """End it cleanly."""
        self._server.stop()


def _start(name: str, folder: Path) -> tuple[Server, str]:
    with _named_elsewhere(name):
        servers = start_servers(folder, durable=True)
    (server,) = servers.processes
    return server, servers.database_url if name == "postgresql" else servers.redis_url


@contextlib.contextmanager
def _named_elsewhere(name: str) -> Iterator[None]:
    """Make ``start_servers`` start this server alone: it leaves out what the environment names."""
    before = {address: os.environ.pop(address, None) for address in _ADDRESSES.values()}
    os.environ |= {address: "elsewhere" for other, address in _ADDRESSES.items() if other != name}
    try:
        yield
    finally:
        for address, value in before.items():
            os.environ.pop(address, None)
            if value is not None:
                os.environ[address] = value


def _children(parent: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    ).stdout
    pairs = (line.split() for line in listed.splitlines())
    return [int(pid) for pid, ppid in pairs if int(ppid) == parent]
