"""``manage.py channel_reseal``: seals all credentials with the newest key, so that older keys can be dropped."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.credentials import reseal_credentials


class Command(BaseCommand):
    """Changes the key under which credentials are stored."""

    help = "Seals every channel credential with the first key of FASTANCHOR_CHANNEL_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """Reseal, and fail naming the channels that do not open."""
        report = reseal_credentials()
        self.stdout.write(f"Sealed {report.resealed} credentials with the newest key.")
        if report.broken:
            message = f"These channels do not open with any key of the ring: {', '.join(report.broken)}."
            raise CommandError(message)
