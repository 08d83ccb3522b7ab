"""``manage.py billing_reconcile``: bring the books to what Stripe says, and name what still differs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import checkout, events, reconciliation, sync, usage_mirror
from billing.models import ReconciliationItem
from billing.stripe_api.client import StripeFault


class Command(BaseCommand):
    """Polls, follows what is pending, compares cash and usage; exit status 1 while an item is open."""

    help = "Reconcile with Stripe; exits with 1 while anything differs, and names it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--since", help="Compare movements since this day (YYYY-MM-DD); 35 days by default."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, **options: Any) -> None:
        """Reconcile."""
        since = _moment(options["since"])
        try:
            taken = events.poll()
            followed = checkout.follow_pending(older_than=timedelta(0))
            refunds = sync.resend_refunds()
            cash = reconciliation.reconcile_cash(since=since)
            usage = usage_mirror.reconcile_usage()
        except StripeFault as exc:
            message = f"Stripe could not be asked ({type(exc).__name__}: {exc}); nothing is lost, try again."
            raise CommandError(message) from exc
        found = [_shown(item) for item in reconciliation.open_items()]
        if options["json"]:
            told = {
                "ok": not found,
                "events": taken,
                "top_ups": followed,
                "refunds": refunds,
                "cash_compared": cash.compared,
                "usage_compared": usage.compared,
            }
            self.stdout.write(json.dumps({**told, "open": found}, indent=2))
        else:
            self.stdout.write(
                f"{taken} events, {followed} pending top-ups, {cash.compared} movements compared."
            )
            for item in found:
                self.stdout.write(f"OPEN {item['kind']} {item['subject']}: {item['ours']} / {item['theirs']}")
        if found:
            raise SystemExit(1)


def _shown(item: ReconciliationItem) -> dict[str, str]:
    return {"kind": item.kind, "subject": item.subject, "ours": item.ours, "theirs": item.theirs}


def _moment(day: str | None) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        message = f"--since must be a day, YYYY-MM-DD, not {day!r}."
        raise CommandError(message) from None
