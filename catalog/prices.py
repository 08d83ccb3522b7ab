"""Adding prices: a model's price is never edited, only succeeded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import audit
from catalog.models import Price, PriceTier
from catalog.publish import announce_catalog
from catalog.snapshot import Tier
from catalog.tiers import check_tiers


class PriceInPast(Exception):
    """A price that would change what earlier requests cost."""


@transaction.atomic
def add_price(*, price: Price, tiers: Sequence[Tier], valid_from: datetime | None = None) -> Price:
    """Save a new price with its tiers, in force from ``valid_from`` or else from now.

    Raises ``BadTiers``, and ``PriceInPast`` when it would begin before now although the model has a price.
    """
    check_tiers(tiers)
    now = timezone.now()
    price.valid_from = valid_from or now
    if price.valid_from < now and Price.objects.filter(model=price.model_id).exists():
        raise PriceInPast("A new price must begin now or later.")
    price.save(force_insert=True)
    PriceTier.objects.bulk_create(tier_rows(price, tiers))
    audit.record(
        "price.added",
        subject=f"price {price.pk} of {price.model_id}",
        after={"valid_from": price.valid_from, "tiers": [dataclasses.asdict(tier) for tier in tiers]},
    )
    announce_catalog()
    return price


def tier_rows(price: Price, tiers: Sequence[Tier]) -> list[PriceTier]:
    """Return the unsaved rows of a price's tiers."""
    return [
        PriceTier(
            price=price,
            above_tokens=tier.above_tokens,
            during=tier.during,
            **dataclasses.asdict(tier.rates),
        )
        for tier in tiers
    ]
