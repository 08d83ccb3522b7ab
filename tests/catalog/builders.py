"""Makes the rows that catalog tests need."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model

from catalog.models import CatalogModel, Price, PriceTier, Provider
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


def multiply(model: CatalogModel, count: int) -> None:
    """Add copies of a model with its price, named ``ID-1`` and so on, fast enough for thousands of them."""
    copy = "row.{} || '-' || n"
    of_price = "row.price_id IN (SELECT id FROM catalog_price WHERE model_id = %s)"
    tables: tuple[tuple[type[Model], dict[str, str], str], ...] = (
        (CatalogModel, {"id": copy.format("id")}, "row.id = %s"),
        (Price, {"id": copy.format("id"), "model_id": copy.format("model_id")}, "row.model_id = %s"),
        (PriceTier, {"price_id": copy.format("price_id")}, of_price),
    )
    with connection.cursor() as cursor:
        for table, new, which in tables:
            name, own = table._meta.db_table, {"id"} if table is PriceTier else set()
            columns = [str(field.column) for field in table._meta.concrete_fields if field.column not in own]
            values = [new.get(column, f"row.{column}") for column in columns]
            cursor.execute(
                f"INSERT INTO {name} ({', '.join(columns)}) SELECT {', '.join(values)}"
                f" FROM {name} AS row, generate_series(1, %s) AS n WHERE {which}",
                [count, model.pk],
            )
            # As autovacuum does soon after so many rows.
            cursor.execute(f"ANALYZE {name}")
