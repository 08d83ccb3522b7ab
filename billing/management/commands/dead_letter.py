"""``manage.py dead_letter``: settle or dismiss a record that could not be stored."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DataError, IntegrityError

from billing import dead_letters, wallets
from billing.models import DeadLetter, Wallet


class Command(BaseCommand):
    """Deals with one dead letter."""

    help = "Settle a dead letter now that its cause is gone, or dismiss it with a reason."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "id", type=int, help="Number of the dead letter, as the audit and the admin name it."
        )
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--settle", action="store_true", help="Store its record and charge for it.")
        what.add_argument(
            "--dismiss", metavar="REASON", help="Charge nobody; the reason stays on the letter."
        )

    def handle(self, **options: Any) -> None:
        """Settle or dismiss."""
        letter = DeadLetter.objects.filter(pk=options["id"], resolved_at=None).first()
        if letter is None:
            message = f"There is no open dead letter {options['id']}."
            raise CommandError(message)
        if options["settle"]:
            _settle(letter)
        else:
            dead_letters.dismiss(letter, reason=options["dismiss"])
        self.stdout.write(f"Dead letter {letter.pk} is {letter.resolution}.")


def _settle(letter: DeadLetter) -> None:
    try:
        dead_letters.settle(letter)
    except (DataError, IntegrityError, ValueError) as exc:
        message = f"It still cannot be stored: {exc}"
        raise CommandError(message) from exc
    wallets.publish(Wallet.objects.filter(pk=letter.organization_id))
