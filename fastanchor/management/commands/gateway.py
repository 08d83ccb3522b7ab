"""Serve /v1 in processes of their own, with the shipper that carries their spools to PostgreSQL."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fastanchor.server import CannotListen, listen
from fastanchor.workers import serve_in_workers


class Command(BaseCommand):
    """``manage.py gateway``."""

    help = (
        "Serve on GATEWAY_PORT (else PORT) with GATEWAY_WORKERS processes and a shipper; restarts what dies."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until SIGTERM."""
        try:
            listener = listen(settings.BIND_ADDRESS, settings.GATEWAY_PORT)
        except CannotListen as exc:
            raise CommandError(str(exc)) from None
        serve_in_workers(listener, count=settings.GATEWAY_WORKERS)
