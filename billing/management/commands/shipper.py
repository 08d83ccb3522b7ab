"""``manage.py shipper``: carry usage from this host's spools to PostgreSQL until told to stop."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from billing.shipper import Shipper
from fastanchor.lib.valkey import brief_client


class Command(BaseCommand):
    """Runs the one shipper of this host; a second one waits for the first to end."""

    help = "Carry usage from this host's spools to PostgreSQL until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until SIGTERM or SIGINT."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Shipper(settings.SPOOL_DIR, brief_client()).run(stop)
