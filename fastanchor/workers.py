"""Serving from several processes on one socket, with the shipper of their spools beside them.

SIGHUP is a deploy: one process after the other gets a successor with the code as it is now on the disk. The successor
serves before the old one stops to take connections, and what runs there has all the time it needs. Where a successor
does not come up, the old processes go on.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from fastanchor.children import Child, Start, keep_running, kill, spawn, stop

logger = logging.getLogger(__name__)

# Beyond the drain of the requests: the rest of the spool goes to PostgreSQL.
_SHIP_S = 15
# How long a successor may take until it serves.
_START_S = 60.0
_LOOK_EVERY_S = 0.2
_SHIPPER = "shipper"


class NotReady(Exception):
    """A successor ended, or took too long, before it served."""


def serve_in_workers(listener: socket.socket, *, count: int) -> None:
    """Serve until SIGTERM or SIGINT; workers drain first and the shipper ends last, so nothing they wrote stays.

    A host needs one shipper; where several are started, the others wait for it to end.
    """
    descriptor = listener.fileno()
    starts: dict[str, Start] = {
        f"worker-{number}": lambda: _worker(descriptor) for number in range(1, count + 1)
    }
    starts[_SHIPPER] = _ship

    def replace(children: dict[str, Child], is_stopping: Callable[[], bool]) -> list[Child]:
        return _replace(children, descriptor, is_stopping)

    grace_s = settings.DRAIN_S + _SHIP_S
    # Callers are refused from then on: a load balancer goes elsewhere at once.
    keep_running(starts, grace_s=grace_s, replace=replace, before_end=listener.close)


def _replace(children: dict[str, Child], descriptor: int, is_stopping: Callable[[], bool]) -> list[Child]:
    leaving: list[Child] = []
    for name in [name for name in children if name != _SHIPPER]:
        try:
            successor = _ready_worker(descriptor, is_stopping)
        except NotReady:
            logger.error("workers.reload_failed", extra={"child": name})  # noqa: TRY400 - its own log says why
            return leaving
        leaving.append(children[name])
        children[name].send_signal(signal.SIGHUP)
        children[name] = successor
    stop(children[_SHIPPER], grace_s=_SHIP_S)
    children[_SHIPPER] = _ship()
    logger.info("workers.reloaded", extra={"workers": len(leaving)})
    return leaving


def _ready_worker(descriptor: int, is_stopping: Callable[[], bool]) -> Child:
    """Return a worker that serves; raises ``NotReady``."""
    reading, writing = os.pipe()
    try:
        successor = _worker(descriptor, "--ready-fd", str(writing), pass_fds=(descriptor, writing))
    finally:
        os.close(writing)
    try:
        if not _is_told(reading, is_stopping):
            kill(successor)
            raise NotReady
    finally:
        os.close(reading)
    return successor


def _is_told(reading: int, is_stopping: Callable[[], bool]) -> bool:
    """Wait for the byte of a worker that serves; the pipe of one that ended has none."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until and not is_stopping():
        if select.select([reading], [], [], _LOOK_EVERY_S)[0]:
            return os.read(reading, 1) == b"1"
    return False


def _worker(descriptor: int, *arguments: str, pass_fds: tuple[int, ...] = ()) -> Child:
    return _manage("web", "--fd", str(descriptor), *arguments, pass_fds=pass_fds or (descriptor,))


def _ship() -> Child:
    return _manage("shipper")


def _manage(*arguments: str, **options: Any) -> Child:
    return spawn([sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments], **options)
