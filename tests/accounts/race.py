"""Doing the same thing in several threads at the same moment, each with a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

from django.db import connection


def at_once(work: Callable[[], object], count: int) -> None:
    """Run ``work`` in ``count`` threads that start together once all are connected; return when all ended."""
    everybody = Barrier(count)

    def run() -> None:
        connection.ensure_connection()
        everybody.wait(10)
        try:
            work()
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
