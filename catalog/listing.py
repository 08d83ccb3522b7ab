"""The public price list, for pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from catalog.models import CatalogModel, LifeCycle, Price
from catalog.publish import price_of, prices_newest_first
from catalog.snapshot import Rates, Tier

_MICROS_PER_USD = 1_000_000


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One line of the price list; rates are micro-USD per 1M tokens."""

    id: str
    name: str
    provider: str
    provider_slug: str
    context_window: int
    max_output: int
    capabilities: tuple[str, ...]
    is_deprecated: bool
    rates: Rates
    tiers: tuple[Tier, ...]


def listed_models(*, at: datetime) -> list[ListedModel]:
    """Return the models on sale with their prices at a moment, by provider and name, in three queries."""
    rows = (
        CatalogModel.objects.filter(is_listed=True, pk__in=Price.objects.values("model"))
        .exclude(life_cycle=LifeCycle.RETIRED)
        .select_related("provider")
        .prefetch_related(prices_newest_first())
        .order_by("provider__name", "name", "pk")
    )
    return [_listed(row, at) for row in rows]


def rate_usd(micro_usd: int) -> str:
    """Write a rate in USD, exactly, with two places or as many as it needs: ``$2.50``, ``$0.0375``."""
    dollars, micros = divmod(micro_usd, _MICROS_PER_USD)
    places = f"{micros:06d}".rstrip("0").ljust(2, "0")
    return f"${dollars:,}.{places}"


def _listed(row: CatalogModel, at: datetime) -> ListedModel:
    prices = list(row.prices.all())
    price = price_of(next((price for price in prices if price.valid_from <= at), prices[-1]))
    return ListedModel(
        id=row.pk,
        name=row.name,
        provider=row.provider.name,
        provider_slug=row.provider_id,
        context_window=row.context_window,
        max_output=row.max_output,
        capabilities=tuple(row.capabilities),
        is_deprecated=row.life_cycle == LifeCycle.DEPRECATED,
        rates=price.tiers[0].rates,
        tiers=price.tiers[1:],
    )
