"""Serve the site in this process."""

from __future__ import annotations

import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fastanchor.server import CannotListen, listen, serve


class Command(BaseCommand):
    """``manage.py web``."""

    help = "Serve pages and /v1 on PORT until SIGTERM, then finish what runs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a socket from the process that started this one."""
        parser.add_argument("--fd", type=int, help="An inherited listening socket instead of PORT.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve."""
        serve(self._listener(options["fd"]), drain_s=settings.DRAIN_S)

    def _listener(self, descriptor: int | None) -> socket.socket:
        if descriptor is not None:
            return socket.socket(fileno=descriptor)
        try:
            return listen(settings.BIND_ADDRESS, settings.PORT)
        except CannotListen as exc:
            raise CommandError(str(exc)) from None
