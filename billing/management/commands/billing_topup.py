"""``manage.py billing_topup``: record credit that was paid for outside Stripe."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Organization
from billing import ledger, lots, topups, wallets
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import MAX_CENTS, cents_to_nanos, short_usd


class Command(BaseCommand):
    """Adds paid credit to one organization."""

    help = "Record credit that an organization has paid for outside Stripe."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--organization", "--org", required=True, help="Organization id, org_…")
        parser.add_argument("--cents", type=int, required=True, help="Amount in US cents.")
        parser.add_argument("--key", help="Idempotency key: the same one twice credits once.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, **options: Any) -> None:
        """Record the top-up."""
        organization = Organization.objects.filter(pk=options["organization"]).first()
        if organization is None:
            message = f"There is no organization {options['organization']!r}."
            raise CommandError(message)
        if options["cents"] > MAX_CENTS:
            message = f"--cents must be at most {MAX_CENTS} ({short_usd(cents_to_nanos(MAX_CENTS))})."
            raise CommandError(message)
        key = f"manual:{options['key'] or new_id('top')}"
        try:
            journal = topups.record_top_up(
                organization=organization, cents=options["cents"], key=key, actor="command:billing_topup"
            )
        except lots.AmountNotPositive:
            raise CommandError("--cents must be more than 0.") from None
        except ledger.KeyReused as reused:
            raise CommandError(str(reused)) from None
        balance_nano = wallets.of(organization).balance_nano
        if options["json"]:
            result = {"organization": organization.pk, "journal": journal.pk, "balance_nano": balance_nano}
            self.stdout.write(json.dumps({**result, "is_new": journal.is_new}))
        else:
            self.stdout.write(f"{organization.pk} now has {short_usd(balance_nano)} ({journal.pk}).")
