"""Serve the site, and /v1 with it."""

from __future__ import annotations

import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fastanchor.server import CannotListen, listen, serve
from fastanchor.workers import serve_in_workers


class Command(BaseCommand):
    """``manage.py web``."""

    help = "Serve on PORT until SIGTERM, then finish what runs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a socket from the process that started this one."""
        parser.add_argument("--fd", type=int, help="Be one worker on this inherited listening socket.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve in this process when another one looks after the spools."""
        if options["fd"] is not None:
            serve(socket.socket(fileno=options["fd"]), drain_s=settings.DRAIN_S)
            return
        try:
            listener = listen(settings.BIND_ADDRESS, settings.PORT)
        except CannotListen as exc:
            raise CommandError(str(exc)) from None
        if settings.WEB_SHIPPER:
            serve_in_workers(listener, count=settings.WEB_WORKERS)
        else:
            serve(listener, drain_s=settings.DRAIN_S)
