"""Serve /v1 in processes of their own, with the shipper that carries their spools to PostgreSQL."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fastanchor.children import Child, Start, keep_running, spawn
from fastanchor.server import CannotListen, listen

# Beyond the drain of the requests: the rest of the spool goes to PostgreSQL.
_SHIP_S = 15


class Command(BaseCommand):
    """``manage.py gateway``."""

    help = "Serve on GATEWAY_PORT (else PORT) with GATEWAY_WORKERS processes and one shipper; restarts what dies."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM: the workers drain first, the shipper last."""
        try:
            listener = listen(settings.BIND_ADDRESS, settings.GATEWAY_PORT)
        except CannotListen as exc:
            raise CommandError(str(exc)) from None
        descriptor = listener.fileno()
        starts: dict[str, Start] = {
            f"worker-{number}": lambda: _manage("web", "--fd", str(descriptor), pass_fds=(descriptor,))
            for number in range(1, settings.GATEWAY_WORKERS + 1)
        }
        starts["shipper"] = lambda: _manage("shipper")
        keep_running(starts, grace_s=settings.DRAIN_S + _SHIP_S)


def _manage(*arguments: str, **options: Any) -> Child:
    return spawn([sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments], **options)
