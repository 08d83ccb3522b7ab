"""``manage.py health_rebuild``: count the platform's health of some days anew from the usage records."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import health


class Command(BaseCommand):
    """Counts day by day; safe to repeat and while requests are served."""

    help = "Count how well requests were served anew from the usage records, day by day (UTC)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        today = datetime.now(UTC).date()
        parser.add_argument("--first", type=date.fromisoformat, default=today - timedelta(days=30))
        parser.add_argument("--last", type=date.fromisoformat, default=today)

    def handle(self, **options: Any) -> None:
        """Count, and say of how many records."""
        if options["first"] > options["last"]:
            raise CommandError("--first is after --last.")
        counted = health.rebuild(first=options["first"], last=options["last"])
        self.stdout.write(f"{counted} usage records counted.")
