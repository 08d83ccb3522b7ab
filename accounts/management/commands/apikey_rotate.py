"""Rotate an API key from a script."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import keys, rotation
from accounts.models import ApiKey

_LONGEST_S = int(max(rotation.OVERLAPS.values()).total_seconds())


class Command(BaseCommand):
    """Prints the key's new secret, once."""

    help = "Give an API key a new secret and print it, which is shown only here; the old one works on for a while."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the key and the overlap."""
        parser.add_argument("id", help="Key id, key_…")
        parser.add_argument(
            "--overlap-seconds", type=int, default=24 * 3600, help="How long the old secret still works."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, **options: Any) -> None:
        """Rotate the key."""
        key, overlap_s = ApiKey.objects.filter(pk=options["id"]).first(), options["overlap_seconds"]
        if key is None:
            message = f"There is no key {options['id']!r}."
            raise CommandError(message)
        if not 0 <= overlap_s <= _LONGEST_S:
            message = f"--overlap-seconds is at least 0 and at most {_LONGEST_S}."
            raise CommandError(message)
        try:
            secret = rotation.rotate(key=key, overlap=timedelta(seconds=overlap_s), by=None)
        except keys.KeyRefused as refusal:
            raise CommandError(str(refusal)) from None
        rotated = {"id": key.pk, "secret": secret}
        self.stdout.write(json.dumps(rotated) if options["json"] else f"{key.pk} {secret}")
