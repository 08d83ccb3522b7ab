"""``manage.py organization_create``: a customer from a script, with a plan and credit."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import organizations, people
from accounts.models import Organization, Plan, User
from billing import grants, wallets
from billing.models import LotKind
from fastanchor.lib.money import MAX_CENTS, cents_to_nanos, short_usd


class Command(BaseCommand):
    """Creates an organization and, if need be, the user who owns it."""

    help = "Create an organization with a plan and credit; its owner is made if the address is new."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--email", required=True, help="Address of the owner.")
        parser.add_argument("--plan", required=True, help="Plan code: free, payg or enterprise.")
        parser.add_argument(
            "--credit-cents", type=int, default=0, help="Credit in US cents that never expires."
        )
        parser.add_argument("--name", help="Name of the organization; the address when left out.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, **options: Any) -> None:
        """Create the organization."""
        _refuse_invalid(options)
        is_known = User.objects.filter(email__iexact=options["email"]).exists()
        owner = people.ensure_verified(email=options["email"])
        name = options["name"] or options["email"]
        if is_known:
            organization = organizations.create(name=name, plan_code=options["plan"], owner=owner)
        else:
            organization = _first_organization(owner, name=name, plan_code=options["plan"])
        if options["credit_cents"]:
            _add_credit(organization, options["credit_cents"])
        balance_nano = wallets.of(organization).balance_nano
        if options["json"]:
            result = {"id": organization.pk, "organization": organization.pk, "email": owner.email}
            self.stdout.write(
                json.dumps({**result, "plan": organization.plan_id, "balance_nano": balance_nano})
            )
        else:
            self.stdout.write(f"{organization.pk} ({organization.plan_id}) has {short_usd(balance_nano)}.")


def _first_organization(owner: User, *, name: str, plan_code: str) -> Organization:
    # A new person logs in to their personal organization: that is where plan and credit have to be.
    organization = organizations.rename(organization=organizations.of_user(owner), name=name)
    return organizations.change_plan(organization=organization, plan_code=plan_code, by=None)


def _refuse_invalid(options: dict[str, Any]) -> None:
    try:
        # With its length: what is too long would end in the database's own words.
        User(email=options["email"]).clean_fields(exclude={"password"})
    except ValidationError:
        message = f"{options['email']!r} is no e-mail address."
        raise CommandError(message) from None
    if not Plan.objects.filter(pk=options["plan"]).exists():
        codes = ", ".join(Plan.objects.order_by("priority", "pk").values_list("pk", flat=True))
        message = f"There is no plan {options['plan']!r}; there are {codes}."
        raise CommandError(message)
    if not 0 <= options["credit_cents"] <= MAX_CENTS:
        message = f"--credit-cents must be from 0 to {MAX_CENTS}."
        raise CommandError(message)


def _add_credit(organization: Organization, cents: int) -> None:
    grants.grant(
        organization=organization,
        amount_nano=cents_to_nanos(cents),
        reason="Credit at creation",
        key=f"created:{organization.pk}",
        actor="command:organization_create",
        kind=LotKind.ADJUSTMENT,
    )
