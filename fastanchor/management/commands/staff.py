"""Makes people staff in roles, and takes the roles away again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import people, staff_roles
from accounts.models import User


class Command(BaseCommand):
    """Gives one person exactly the roles that are named."""

    help = "Make somebody staff in exactly the given roles; --none takes all away. The address counts as verified."

    def add_arguments(self, parser: CommandParser) -> None:
        """Ask for an address, roles and why."""
        parser.add_argument("email")
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("--role", action="append", choices=staff_roles.NAMES, dest="roles", default=[])
        chosen.add_argument("--none", action="store_true", help="no role any more, and no staff")
        parser.add_argument("--reason", default="", help="stands in the audit log")

    def handle(self, *, email: str, roles: list[str], none: bool, reason: str, **_: Any) -> None:
        """Give them."""
        if none and not User.objects.filter(email__iexact=email).exists():
            raise CommandError("There is nobody of this address.")
        user = people.ensure_verified(email=email)
        staff_roles.give(user=user, roles=roles, reason=reason)
        if none:
            self.stdout.write(f"{user.email} is staff no more.")
            return
        self.stdout.write(f"{user.email} is staff: {', '.join(staff_roles.of(user))}.")
        if not user.has_usable_password():
            self.stdout.write("There is no password yet: the log-in page sends a mail by which to set one.")
