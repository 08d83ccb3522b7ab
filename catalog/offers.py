"""What the catalog could sell, read from files before it meets the database; no ORM here."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from catalog.snapshot import Rates, Tier

DATA = Path(__file__).resolve().parent / "data"
MICRO_USD_PER_USD = 1_000_000


class InexactPrice(Exception):
    """A price that has no exact form in micro-USD per 1M tokens."""


@dataclass(frozen=True, slots=True)
class DatedTiers:
    """Rates and the moment from which they hold; ``None`` means from now on."""

    valid_from: datetime | None
    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """One model with its price now and those announced for later, oldest first."""

    id: str
    provider: str
    name: str
    upstream_name: str
    context_window: int
    max_output: int
    capabilities: tuple[str, ...]
    input_modalities: tuple[str, ...]
    created_at: datetime | None
    aliases: tuple[str, ...]
    prices: tuple[DatedTiers, ...]


@dataclass(frozen=True, slots=True)
class ProviderOffer:
    """One provider and, where its models are imported, the rules of the import."""

    slug: str
    name: str
    key_variable: str
    base_url: str
    development_only: bool
    import_rules: dict[str, Any] | None


def micro_usd(dollars: Decimal) -> int:
    """Convert USD to whole micro-USD; raises ``InexactPrice`` when something would be rounded off."""
    if not dollars.is_finite() or dollars < 0:
        message = f"{dollars} USD is not an amount"
        raise InexactPrice(message)
    numerator, denominator = dollars.as_integer_ratio()
    micros, rest = divmod(numerator * MICRO_USD_PER_USD, denominator)
    if rest:
        message = f"{dollars} USD is not a whole number of micro-USD"
        raise InexactPrice(message)
    return micros


def read_product() -> list[Offer]:
    """Return the models of the product page from ``data/product.toml``."""
    return [_product_offer(entry) for entry in _read("product.toml")["model"]]


def read_providers() -> list[ProviderOffer]:
    """Return the providers of ``data/providers.toml``."""
    return [_provider_offer(entry) for entry in _read("providers.toml")["provider"]]


def modalities_of(capabilities: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a model reads, judged by what it can do."""
    return ("text", "image") if "vision" in capabilities else ("text",)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / name).read_text(encoding="utf-8"))


def _provider_offer(entry: dict[str, Any]) -> ProviderOffer:
    return ProviderOffer(
        slug=entry["slug"],
        name=entry["name"],
        key_variable=entry.get("key_variable", ""),
        base_url=entry.get("base_url", ""),
        development_only=entry.get("development_only", False),
        import_rules=entry.get("import"),
    )


def _product_offer(entry: dict[str, Any]) -> Offer:
    capabilities = tuple(entry["capabilities"])
    return Offer(
        id=entry["id"],
        provider=entry["provider"],
        name=entry["name"],
        upstream_name=entry.get("upstream_name", entry["id"]),
        context_window=entry["context_window"],
        max_output=entry["max_output"],
        capabilities=capabilities,
        input_modalities=modalities_of(capabilities),
        created_at=_midnight(entry["created"]),
        aliases=tuple(entry.get("aliases", ())),
        prices=(DatedTiers(None, (Tier(0, _rates(entry["price"])),)),),
    )


def _rates(price: dict[str, str]) -> Rates:
    return Rates(
        input=micro_usd(Decimal(price["input"])),
        cached_input=micro_usd(Decimal(price.get("cached_input", price["input"]))),
        cache_write=micro_usd(Decimal(price.get("cache_write", price["input"]))),
        output=micro_usd(Decimal(price["output"])),
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
