"""``manage.py load_catalog``: providers, models and prices from our files and genai-prices; safe to run again."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone

from catalog.channels import follow_catalog
from catalog.environment import load_environment
from catalog.importing import Skipped, package_providers, read_package
from catalog.loading import Loaded, load_offers, load_providers
from catalog.models import PriceSource
from catalog.offers import read_product, read_providers


class Command(BaseCommand):
    """Adds what is missing and says what that was."""

    help = "Adds missing providers, models, prices and environment channels; edits no price. -v 2 names each."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the switch that leaves the package's models out."""
        parser.add_argument(
            "--product-only", action="store_true", help="Only the models of the product page."
        )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Load everything in one transaction."""
        now = timezone.now()
        providers = read_providers()
        added = load_providers(providers, for_development=not settings.IS_PRODUCTION)
        self._say(options, f"Providers: {len(added)} added.", (provider.slug for provider in added))
        self._tell("Product page", load_offers(read_product(), source=PriceSource.PRODUCT, now=now), options)
        if not options["product_only"]:
            offers, skipped = read_package(package_providers, providers, now=now)
            # What a model costs once it is sold is for staff to decide: see catalog.price_sync.
            loaded = load_offers(offers, source=PriceSource.GENAI_PRICES, now=now, may_succeed=False)
            loaded.skipped += skipped
            self._tell("genai-prices", loaded, options)
        changed = load_environment(os.environ)
        self._say(
            options, f"Channels: {len(changed)} set from the environment.", (str(row) for row in changed)
        )
        self._say(options, f"Routes: {follow_catalog()} added to channels that follow the catalog.", ())

    def _tell(self, title: str, loaded: Loaded, options: dict[str, Any]) -> None:
        self._say(
            options, f"{title}: {len(loaded.models)} models added.", (model.pk for model in loaded.models)
        )
        if loaded.renewed:
            self._say(
                options,
                f"{title}: {len(loaded.renewed)} models brought up to date.",
                (model.pk for model in loaded.renewed),
            )
        if loaded.succeeded:
            self._say(
                options,
                f"{title}: {len(loaded.succeeded)} prices succeeded.",
                (
                    f"{price.model_id} from {price.valid_from:%Y-%m-%d %H:%M} UTC"
                    for price in loaded.succeeded
                ),
            )
        if loaded.waiting:
            words = f"{title}: {len(loaded.waiting)} prices differ and wait for staff."
            self._say(options, words, loaded.waiting)
        for reason, count in Counter(skip.reason for skip in loaded.skipped).most_common():
            self._say(options, f"{title}: {count} left out, {reason}.", _ids(loaded.skipped, reason))

    def _say(self, options: dict[str, Any], line: str, details: Any) -> None:
        self.stdout.write(line)
        if options["verbosity"] >= 2:
            for detail in details:
                self.stdout.write(f"  {detail}")


def _ids(skipped: list[Skipped], reason: str) -> list[str]:
    return [skip.id for skip in skipped if skip.reason == reason]
