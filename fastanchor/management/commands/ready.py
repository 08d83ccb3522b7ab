"""Tell whether PostgreSQL is migrated and Valkey answers; start scripts wait on it."""

from __future__ import annotations

import time
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

_PAUSE_S = 0.5


class Command(BaseCommand):
    """``manage.py ready``."""

    help = "Exit 0 once PostgreSQL has every migration and Valkey answers."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how long to wait."""
        parser.add_argument(
            "--wait", type=float, default=0, metavar="SECONDS", help="Ask again for this long."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask until the answer is yes or the time is over."""
        deadline = time.monotonic() + options["wait"]
        while True:
            lacking = _lacking()
            if not lacking:
                return
            if time.monotonic() >= deadline:
                raise CommandError(lacking)
            time.sleep(_PAUSE_S)


def _lacking() -> str:
    """Return what stands in the way, or an empty string."""
    try:
        executor = MigrationExecutor(connection)
        unapplied = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as exc:
        return f"PostgreSQL does not answer: {exc}"
    if unapplied:
        return f"{len(unapplied)} migrations are not applied; run manage.py migrate."
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
            client.ping()
    except redis.RedisError as exc:
        return f"Valkey does not answer: {exc}"
    return ""
