"""Serve the site, and /v1 with it."""

from __future__ import annotations

import os
import socket
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fastanchor.server import CannotListen, listen, serve
from fastanchor.workers import serve_in_workers


class Command(BaseCommand):
    """``manage.py web``."""

    help = "Serve on PORT until SIGTERM, then finish what runs; SIGHUP replaces the processes."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a socket from the process that started this one."""
        parser.add_argument("--fd", type=int, help="Be one worker on this inherited listening socket.")
        parser.add_argument("--ready-fd", type=int, help="Write a byte to this inherited pipe when serving.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve in this process when another one looks after the spools."""
        if options["fd"] is not None:
            serve(socket.socket(fileno=options["fd"]), when_ready=partial(_tell, options["ready_fd"]))
            return
        try:
            listener = listen(settings.BIND_ADDRESS, settings.PORT)
        except CannotListen as exc:
            raise CommandError(str(exc)) from None
        if settings.WEB_SHIPPER:
            serve_in_workers(listener, count=settings.WEB_WORKERS)
        else:
            serve(listener)


def _tell(descriptor: int | None) -> None:
    if descriptor is not None:
        os.write(descriptor, b"1")
        os.close(descriptor)
