"""Adding prices: a model's price is never edited, only succeeded."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from catalog.models import Price, PriceTier
from catalog.publish import announce_catalog
from catalog.snapshot import Tier
from catalog.windows import BadWindow, overlap, spans_of


class BadTiers(Exception):
    """Tiers that make no price: no base tier, or two of the same threshold."""


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
    announce_catalog()
    return price


def check_tiers(tiers: Sequence[Tier]) -> None:
    """Raise ``BadTiers`` unless tiers make a price.

    There must be rates for all hours, a base tier (above 0 tokens) wherever there are rates, no threshold twice, and
    no two windows that overlap.
    """
    windows = {tier.during for tier in tiers}
    for during in {"", *windows}:
        _check_window([tier.above_tokens for tier in tiers if tier.during == during])
    try:
        for one, other in itertools.combinations(sorted(windows - {""}), 2):
            if overlap(one, other):
                message = f"The windows {one!r} and {other!r} overlap."
                raise BadTiers(message)
        for during in windows - {""}:
            spans_of(during)
    except BadWindow as exc:
        raise BadTiers(str(exc)) from None


def _check_window(thresholds: Sequence[int]) -> None:
    if 0 not in thresholds:
        raise BadTiers("A price needs a base tier, above 0 tokens, at all hours and in each of its windows.")
    if len(set(thresholds)) < len(thresholds):
        raise BadTiers("Each tier needs a threshold of its own.")


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
