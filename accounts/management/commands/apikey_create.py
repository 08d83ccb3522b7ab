"""Create an API key from a script."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import keys
from accounts.models import Organization
from fastanchor.lib.money import cents_to_nanos


class Command(BaseCommand):
    """Prints the new key's secret, once."""

    help = "Create an API key and print its secret, which is shown only here."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options; limits left out are not set."""
        parser.add_argument("--organization", required=True, help="Organization id, org_…")
        parser.add_argument("--name", default="Created by a command")
        parser.add_argument("--rpm", type=int, help="Requests per minute, at most the plan's.")
        parser.add_argument("--tpm", type=int, help="Tokens per minute, at most the plan's.")
        parser.add_argument("--budget-cents", type=int, help="Most it may ever spend.")
        for window, span in (("day", "day"), ("week", "week from Monday"), ("month", "calendar month")):
            parser.add_argument(
                f"--{window}-budget-cents", type=int, help=f"Most it may spend in a {span} (UTC)."
            )
        parser.add_argument("--expires-days", type=int)
        parser.add_argument("--models", default="", help="Model ids, separated by commas; all when left out.")
        parser.add_argument(
            "--ips",
            default="",
            help="Addresses and CIDR ranges, separated by commas; everywhere when left out.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, **options: Any) -> None:
        """Create the key."""
        organization = Organization.objects.filter(pk=options["organization"]).first()
        if organization is None:
            message = f"There is no organization {options['organization']!r}."
            raise CommandError(message)
        try:
            key, secret = keys.create(organization=organization, name=options["name"], **_limits(options))
        except OverflowError:
            raise CommandError("--expires-days is beyond the calendar.") from None
        except keys.KeyRefused as refusal:
            message = f"{refusal.field or 'key'}: {refusal}"
            raise CommandError(message) from None
        if options["json"]:
            created = {"id": key.pk, "secret": secret, "organization": organization.pk}
            self.stdout.write(json.dumps(created))
        else:
            self.stdout.write(f"{key.pk} {secret}")


def _limits(options: dict[str, Any]) -> keys.Limits:
    days = options["expires_days"]
    return keys.Limits(
        expires_at=None if days is None else timezone.now() + timedelta(days=days),
        budget_total_nano=_nanos(options["budget_cents"]),
        budget_day_nano=_nanos(options["day_budget_cents"]),
        budget_week_nano=_nanos(options["week_budget_cents"]),
        budget_month_nano=_nanos(options["month_budget_cents"]),
        requests_per_minute=options["rpm"],
        tokens_per_minute=options["tpm"],
        allowed_models=options["models"].split(","),
        allowed_ip_ranges=options["ips"].split(","),
    )


def _nanos(cents: int | None) -> int | None:
    return None if cents is None else cents_to_nanos(cents)
