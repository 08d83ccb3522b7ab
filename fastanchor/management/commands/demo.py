"""Show the demo customer of the local stack."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fastanchor.local.demo import NoSandboxModel, as_json, ensure_demo


class Command(BaseCommand):
    """``manage.py demo``."""

    help = "Print base URL, login and key of the local stack's demo customer; made if there is none."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Choose the form."""
        parser.add_argument("--json", action="store_true", help="One JSON object, for scripts.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print."""
        if settings.IS_PRODUCTION:
            raise CommandError("The demo customer exists in development only.")
        try:
            demo = ensure_demo(folder=settings.DATA_DIR, port=settings.PORT)
        except NoSandboxModel:
            raise CommandError("The sandbox serves no model; run ./dev up first.") from None
        if options["json"]:
            self.stdout.write(as_json(demo))
            return
        for name, value in asdict(demo).items():
            self.stdout.write(f"{name:<14} {value}")
