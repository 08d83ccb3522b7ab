"""Makes the rows that catalog tests need."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from catalog.models import CatalogModel, Price, Provider
from catalog.prices import add_price
from catalog.snapshot import Rates, Tier

BuildModel = Callable[..., CatalogModel]


def tier(input_rate: int, output_rate: int, above: int = 0) -> Tier:
    """Return a tier whose cached and written input costs as much as input."""
    return Tier(above, Rates(input_rate, input_rate, input_rate, output_rate))


def add_rates(model: CatalogModel, *tiers: Tier, valid_from: datetime | None = None) -> Price:
    """Give a model a price."""
    return add_price(price=Price(model=model), tiers=tiers, valid_from=valid_from)


def build_model_of(provider: Provider, model_id: str, **fields: Any) -> CatalogModel:
    """Make a model with a price."""
    defaults: dict[str, Any] = {"name": model_id.title(), "upstream_name": f"upstream-{model_id}"}
    limits = {"context_window": 8_000, "max_output": 1_000}
    model = CatalogModel(id=model_id, provider=provider, **(defaults | limits | fields))
    model.save(force_insert=True)
    add_rates(model, tier(2, 7))
    return model
