"""Revoke an API key from a script."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import keys
from accounts.models import ApiKey


class Command(BaseCommand):
    """Ends a key for good."""

    help = "Revoke an API key; every process refuses it within a second."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the key."""
        parser.add_argument("id", help="Key id, key_…")

    def handle(self, **options: Any) -> None:
        """Revoke the key."""
        key = ApiKey.objects.filter(pk=options["id"]).first()
        if key is None:
            message = f"There is no key {options['id']!r}."
            raise CommandError(message)
        keys.revoke(key=key, by=None)
        self.stdout.write(f"{key.pk} is revoked.")
