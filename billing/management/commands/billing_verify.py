"""``manage.py billing_verify``: check that all money adds up; exit status 1 and the culprits named if it does not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing import audit


class Command(BaseCommand):
    """Prints each invariant and whether it holds."""

    help = "Check the invariants of all money; exits with 1 when one is broken and names the culprits."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")
        parser.add_argument(
            "--wait-s",
            type=float,
            default=audit.WAIT_S,
            help="How long to wait for what is under way just now.",
        )

    def handle(self, **options: Any) -> None:
        """Make the checks."""
        checks = audit.run(wait_s=options["wait_s"])
        is_ok = all(check.ok for check in checks)
        if options["json"]:
            listed = [{**asdict(check), "ok": check.ok} for check in checks]
            self.stdout.write(json.dumps({"ok": is_ok, "checks": listed}, indent=2))
        else:
            for check in checks:
                self._print(check)
        if not is_ok:
            raise SystemExit(1)

    def _print(self, check: audit.Check) -> None:
        self.stdout.write(f"{'ok    ' if check.ok else 'BROKEN'} {check.name:<3} {check.title}")
        for culprit in check.culprits:
            self.stdout.write(f"           {culprit}")
