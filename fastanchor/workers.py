"""Serving from several processes on one socket, with the shipper of their spools beside them."""

from __future__ import annotations

import socket
import sys
from typing import Any

from django.conf import settings

from fastanchor.children import Child, Start, keep_running, spawn

# Beyond the drain of the requests: the rest of the spool goes to PostgreSQL.
_SHIP_S = 15


def serve_in_workers(listener: socket.socket, *, count: int) -> None:
    """Serve until SIGTERM or SIGINT; workers drain first and the shipper ends last, so nothing they wrote stays.

    A host needs one shipper; where several are started, the others wait for it to end.
    """
    descriptor = listener.fileno()

    def start_worker() -> Child:
        return _manage("web", "--fd", str(descriptor), pass_fds=(descriptor,))

    starts: dict[str, Start] = {f"worker-{number}": start_worker for number in range(1, count + 1)}
    starts["shipper"] = lambda: _manage("shipper")
    keep_running(starts, grace_s=settings.DRAIN_S + _SHIP_S)


def _manage(*arguments: str, **options: Any) -> Child:
    return spawn([sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments], **options)
