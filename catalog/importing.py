"""Reading models and prices out of the genai-prices package, by the rules in ``data/providers.toml``.

No ORM here. What cannot be sold at exactly the provider's price is left out and said so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from genai_prices.data import providers as package_providers
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    Provider as PackageProvider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from catalog.offers import DatedTiers, InexactPrice, Offer, ProviderOffer, micro_usd, modalities_of
from catalog.snapshot import Rates, Tier

__all__ = ["Skipped", "Unsellable", "package_providers", "read_package"]

DEFAULT_MAX_OUTPUT = 16_384
_ID = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,119}")
# In the order of the fields of ``Rates``.
_SOLD = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")
# Priced apart, but no part of what is sold: audio and video input, searches, and writes kept for an hour.
_NOT_SOLD = re.compile(r"(input|cache)_(audio|video)_.*|(web|storage)_searches_kcount|cache_write_1h_mtok")

AnyPrice = Decimal | TieredPrices


class Unsellable(Exception):
    """A model of the package that cannot be sold at exactly its provider's price; the message says why."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A model that the rules name but that was left out."""

    id: str
    reason: str


def read_package(
    packages: Iterable[PackageProvider], rules: Iterable[ProviderOffer], *, now: datetime
) -> tuple[list[Offer], list[Skipped]]:
    """Return the offers that the rules select from the package, and what was skipped with the reason."""
    by_id = {package.id: package for package in packages}
    offers: list[Offer] = []
    skipped: list[Skipped] = []
    for provider in rules:
        rule = provider.import_rules
        if rule is None or rule["source"] not in by_id:
            continue
        for model in _selected(by_id[rule["source"]], rule):
            try:
                offers.append(_offer(model, provider.slug, rule, now))
            except (Unsellable, InexactPrice) as exc:
                skipped.append(Skipped(_id_of(model, rule), str(exc)))
    return offers, skipped


def _selected(package: PackageProvider, rule: dict[str, Any]) -> Iterator[ModelInfo]:
    for model in package.models:
        name = model.id.lower()
        if _matches(rule["include"], name) and not _matches(rule.get("exclude", []), name):
            yield model


def _matches(patterns: list[str], name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _id_of(model: ModelInfo, rule: dict[str, Any]) -> str:
    return f"{rule.get('prefix', '')}{model.id}".lower()


def _offer(model: ModelInfo, provider: str, rule: dict[str, Any], now: datetime) -> Offer:
    if model.deprecated:
        raise Unsellable("deprecated by its provider")
    family = _family(model.id.lower(), rule)
    window = model.context_window or family.get("context_window")
    if window is None:
        raise Unsellable("context window unknown")
    capabilities = ("streaming", *family.get("capabilities", ()))
    return Offer(
        id=_checked_id(_id_of(model, rule)),
        provider=provider,
        name=(model.name or model.id)[:120],
        upstream_name=_upstream_name(model.id, rule),
        context_window=window,
        max_output=min(window, family.get("max_output", DEFAULT_MAX_OUTPUT)),
        capabilities=capabilities,
        input_modalities=modalities_of(capabilities),
        created_at=None,
        aliases=(),
        prices=_schedule(model, now),
    )


def _family(name: str, rule: dict[str, Any]) -> dict[str, Any]:
    found: Iterator[dict[str, Any]] = (
        family for family in rule.get("family", ()) if re.fullmatch(family["match"], name)
    )
    return next(found, {})


def _checked_id(model_id: str) -> str:
    if not _ID.fullmatch(model_id):
        raise Unsellable("its id cannot be used in a URL")
    return model_id


def _upstream_name(package_id: str, rule: dict[str, Any]) -> str:
    name = rule.get("upstream", {}).get(package_id, package_id)
    if rule.get("upstream_case") == "lower":
        name = name.lower()
    return f"{rule.get('upstream_prefix', '')}{name}"


def _schedule(model: ModelInfo, now: datetime) -> tuple[DatedTiers, ...]:
    """Return the price now and each price announced for a later day."""
    prices = [DatedTiers(None, _tiers(model.get_prices(now)))]
    prices += [DatedTiers(start, _tiers(model.get_prices(start))) for start in _starts(model) if start > now]
    return tuple(prices)


def _starts(model: ModelInfo) -> list[datetime]:
    conditions = [] if isinstance(model.prices, ModelPrice) else [price.constraint for price in model.prices]
    if any(isinstance(condition, TimeOfDateConstraint) for condition in conditions):
        raise Unsellable("its price depends on the time of day")
    days = {condition.start_date for condition in conditions if isinstance(condition, StartDateConstraint)}
    return [datetime.combine(day, time(), UTC) for day in sorted(days)]


def _tiers(price: ModelPrice) -> tuple[Tier, ...]:
    stored = {name: value for name, value in vars(price).items() if value is not None}
    extra = sorted(name for name in stored.keys() - set(_SOLD) if not _NOT_SOLD.fullmatch(name))
    if extra:
        message = f"priced by {', '.join(extra)}"
        raise Unsellable(message)
    for name in ("input_mtok", "output_mtok"):
        if name not in stored:
            message = f"no {name.partition('_')[0]} price"
            raise Unsellable(message)
    starts = {0}
    for name in _SOLD:
        starts.update(_tier_starts(stored.get(name)))
    return tuple(Tier(start, _rates(stored, start)) for start in sorted(starts))


def _tier_starts(price: AnyPrice | None) -> list[int]:
    return [tier.start for tier in price.tiers] if isinstance(price, TieredPrices) else []


def _rates(stored: dict[str, AnyPrice], above_tokens: int) -> Rates:
    """Return the rates of the tier that starts above a number of tokens; kinds without one cost as input."""
    prices = [stored.get(name, stored["input_mtok"]) for name in _SOLD]
    return Rates(*(_rate(price, above_tokens) for price in prices))


def _rate(price: AnyPrice, above_tokens: int) -> int:
    if not isinstance(price, TieredPrices):
        return micro_usd(price)
    applicable = price.base
    for tier in price.tiers:
        if tier.start <= above_tokens:
            applicable = tier.price
    return micro_usd(applicable)
