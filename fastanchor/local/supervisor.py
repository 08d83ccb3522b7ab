"""Runs children side by side with their lines prefixed; when one ends, all end."""

from __future__ import annotations

import contextlib
import os
import selectors
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from fastanchor.children import Child, kill, spawn

_WIDTH = 8
_COLOURS = (36, 32, 33, 35, 34, 31)
_LOOK_EVERY_S = 0.2
_CHUNK = 65_536


class ChildEnded(Exception):
    """A child ended by itself, which none of them should."""

    def __init__(self, name: str, status: int) -> None:
        """Remember who and how."""
        super().__init__(f"{name} ended with status {status}")
        self.name = name
        self.status = status


class Supervisor:
    """One thread reads all output, so that children may be started at any time."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        """Write to ``out``, in colour when it is a terminal."""
        self._out = out
        self._colourful = out.isatty() and "NO_COLOR" not in os.environ
        self._selector = selectors.DefaultSelector()
        self._children: dict[str, Child] = {}
        self._unfinished: dict[str, bytes] = {}

    def start(self, name: str, arguments: Sequence[str | Path]) -> None:
        """Start a child under a name of at most eight letters."""
        reading, writing = os.pipe()
        try:
            self._children[name] = spawn(arguments, stdout=writing, stderr=writing)
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        self._unfinished[name] = b""
        self._selector.register(reading, selectors.EVENT_READ, name)

    def say(self, name: str, text: str) -> None:
        """Write one line under a name."""
        prefix = f"{name:<{_WIDTH}} | "
        if self._colourful:
            order = list(self._children).index(name) if name in self._children else -1
            prefix = f"\x1b[{_COLOURS[order % len(_COLOURS)]}m{prefix}\x1b[0m"
        self.show(f"{prefix}{text}\n")

    def show(self, text: str) -> None:
        """Write text as it is."""
        # A terminal that has gone away must not keep the children from being stopped.
        with contextlib.suppress(OSError):
            self._out.write(text)
            self._out.flush()

    def run(self, until: Callable[[], bool]) -> None:
        """Pass on output until ``until`` says so; raises ``ChildEnded``."""
        while not until():
            self._pass_on(_LOOK_EVERY_S)
            for name, child in self._children.items():
                if child.poll() is not None:
                    self._pass_on(0)
                    raise ChildEnded(name, child.returncode)

    def stop(self, *, grace_s: float) -> None:
        """Ask all children to end, pass on their last lines, and kill what stays."""
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()
        waits = int(grace_s / _LOOK_EVERY_S)
        while waits and any(child.poll() is None for child in self._children.values()):
            self._pass_on(_LOOK_EVERY_S)
            waits -= 1
        self._pass_on(0)
        self.kill()

    def kill(self) -> None:
        """End all children now."""
        for child in self._children.values():
            kill(child)

    def _pass_on(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            chunk = os.read(key.fd, _CHUNK)
            if not chunk:
                self._selector.unregister(key.fileobj)
                os.close(key.fd)
            *lines, self._unfinished[key.data] = (self._unfinished[key.data] + chunk).split(b"\n")
            for line in lines:
                self.say(key.data, line.decode(errors="replace"))
