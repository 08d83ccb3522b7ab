"""``manage.py usage_recount``: compare the sums of usage with the records, and put right what differs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import served_days, usage_recount


class Command(BaseCommand):
    """Names each hour and day that differed; a second run finds nothing more."""

    help = (
        "Count the sums of usage of some days anew from the records, name what differed and put it right. "
        "Run it for the day of an update once the last shipper of the older version has ended."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--from", dest="first", required=True, help="The first day (UTC), YYYY-MM-DD.")
        parser.add_argument("--to", dest="last", help="The last day (UTC); today by default.")
        parser.add_argument("--dry-run", action="store_true", help="Name what differs and change nothing.")

    def handle(self, **options: Any) -> None:
        """Recount."""
        first = _day(options["first"])
        last = _day(options["last"]) if options["last"] else datetime.now(UTC).date()
        culprits = usage_recount.recount(first=first, last=last, is_dry=options["dry_run"])
        culprits += served_days.recount(first=first, last=last, is_dry=options["dry_run"])
        for culprit in culprits:
            self.stdout.write(culprit)
        done = "differ" if options["dry_run"] else "differed and are right now"
        self.stdout.write(f"{len(culprits)} sums {done}.")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = f"{text} is not a day such as 2026-11-30."
        raise CommandError(message) from None
