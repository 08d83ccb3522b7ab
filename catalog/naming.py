"""What models and their providers are called, for pages that tell of all of them."""

from __future__ import annotations

from typing import NamedTuple

from catalog.models import NOT_SOLD, CatalogModel


class NamedModel(NamedTuple):
    """A model, its name, and its provider's; ``is_sold`` tells whether callers find it in the list."""

    id: str
    name: str
    provider_slug: str
    provider: str
    is_sold: bool


def named_models() -> list[NamedModel]:
    """Return every model there is or was, by id, in one query."""
    rows = CatalogModel.objects.order_by("pk").values_list(
        "pk", "name", "provider_id", "provider__name", "is_listed", "life_cycle"
    )
    return [
        NamedModel(pk, name, slug, provider, is_listed and life_cycle not in NOT_SOLD)
        for pk, name, slug, provider, is_listed, life_cycle in rows
    ]
