"""``manage.py second_factor_reseal``: seals all second factors with the newest key, so that older keys can be dropped."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import second_factors
from fastanchor.lib.crypto import CannotUnseal


class Command(BaseCommand):
    """Changes the key under which the secrets of second factors are stored."""

    help = "Seals every second factor with the first key of FASTANCHOR_CHANNEL_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """Reseal, and change nothing when one does not open."""
        try:
            count = second_factors.reseal()
        except CannotUnseal as exc:
            message = f"A second factor does not open, and nothing was changed: {exc}."
            raise CommandError(message) from exc
        self.stdout.write(f"Sealed {count} second factors with the newest key.")
