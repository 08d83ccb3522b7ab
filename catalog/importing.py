"""Reading models and prices out of the genai-prices package, by the rules in ``data/providers.toml``.

No ORM here. What cannot be sold at exactly the provider's price is left out and said so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from genai_prices.data import providers as package_providers
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider as PackageProvider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from catalog.offers import (
    FREE,
    SEARCH,
    WRITING,
    DatedTiers,
    InexactPrice,
    Offer,
    ProviderOffer,
    capabilities_of,
    inputs_of,
    micro_usd,
    outputs_of,
    rates_of,
)
from catalog.snapshot import Rates, Tier
from catalog.tiers import BadTiers, check_tiers

__all__ = ["Skipped", "Unsellable", "package_providers", "read_package", "read_pinned"]

DEFAULT_MAX_OUTPUT = 16_384
_ID = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,119}")
# What the package's prices are called here.
_SOLD = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "output_mtok": "output",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "cached_audio_input",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "web_searches_kcount": "search",
    "input_mchars": "character",
    "audio_hours": "second",
}
# How many of the package's units make a million of ours; a million otherwise.
_UNITS = {"web_searches_kcount": Fraction(1_000), "audio_hours": Fraction(1_000_000, 3_600)}
# Priced apart, but no part of what is sold: video, searches in stored files, pictures in a cache. Hours heard stand
# twice.
_NOT_SOLD = re.compile(
    r"(input|cache)_video_.*|storage_searches_kcount|cache_image_read_mtok|input_audio_hours"
)
# Without these a model of a kind has no price; the rest have units of their own, or are free.
_NEEDED = {"chat": ("input_mtok", "output_mtok"), "embedding": ("input_mtok",)}
# Hours of the week in which a price holds are written to the minute.
_WINDOW_TIME = "%H:%M"

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


def read_pinned(
    packages: Iterable[PackageProvider],
    rules: Iterable[ProviderOffer],
    pinned: Iterable[Offer],
    *,
    now: datetime,
) -> tuple[dict[str, tuple[DatedTiers, ...]], list[Skipped]]:
    """Return what the package says of the product page's models, by our id, and what it does not say and why.

    Its own rules find the model by the provider's name for it, for ours are not always the package's.
    """
    by_id = {package.id: package for package in packages}
    import_rules = {provider.slug: provider.import_rules or {} for provider in rules}
    listed: dict[str, tuple[DatedTiers, ...]] = {}
    skipped: list[Skipped] = []
    for offer in pinned:
        rule = import_rules.get(offer.provider, {})
        package = by_id.get(rule.get("source", offer.provider))
        model = _find(package, offer) if package else None
        if model is None:
            skipped.append(Skipped(offer.id, "the list does not have it"))
            continue
        try:
            prices = _schedule(model, _Terms(offer.kind, rule.get("window_days", "")), now)
        except (Unsellable, InexactPrice) as exc:
            skipped.append(Skipped(offer.id, str(exc)))
            continue
        sells_search = SEARCH in offer.capabilities
        listed[offer.id] = prices if sells_search else _all_without_search(prices)
    return listed, skipped


def _find(package: PackageProvider, offer: Offer) -> ModelInfo | None:
    found: ModelInfo | None = package.find_model(offer.upstream_name) or package.find_model(offer.id)
    return found


def _selected(package: PackageProvider, rule: dict[str, Any]) -> Iterator[ModelInfo]:
    for model in package.models:
        name = model.id.lower()
        if _matches(rule["include"], name) and not _matches(rule.get("exclude", []), name):
            yield model


def _matches(patterns: list[str], name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _id_of(model: ModelInfo, rule: dict[str, Any]) -> str:
    known_as: str = rule.get("id", {}).get(model.id, model.id)
    return f"{rule.get('prefix', '')}{known_as}".lower()


def _offer(model: ModelInfo, provider: str, rule: dict[str, Any], now: datetime) -> Offer:
    if model.deprecated:
        raise Unsellable("deprecated by its provider")
    family = _family(model.id.lower(), rule)
    kind = family.get("kind", "chat")
    window = model.context_window or family.get("context_window", 0)
    if not window and kind == "chat":
        raise Unsellable("context window unknown")
    prices = _schedule(model, _Terms(kind, rule.get("window_days", "")), now)
    # Whoever has no price for a search sells none.
    has_search = all(tier.rates.search is not None for price in prices for tier in price.tiers)
    capabilities = capabilities_of(kind, family.get("capabilities", ()), has_search=has_search)
    if SEARCH not in capabilities:
        prices = _all_without_search(prices)
    return Offer(
        id=_checked_id(_id_of(model, rule)),
        provider=provider,
        name=(model.name or model.id)[:120],
        upstream_name=_upstream_name(model.id, rule),
        context_window=window,
        max_output=_max_output(kind, window, family),
        capabilities=capabilities,
        input_modalities=inputs_of(kind, capabilities),
        created_at=None,
        aliases=(),
        prices=prices,
        kind=kind,
        traits=tuple(family.get("traits", ())),
        output_modalities=outputs_of(kind),
    )


def _max_output(kind: str, window: int, family: dict[str, Any]) -> int:
    if kind not in WRITING:
        return 0
    most: int = family.get("max_output", DEFAULT_MAX_OUTPUT)
    return min(window, most) if window else most


def _all_without_search(prices: tuple[DatedTiers, ...]) -> tuple[DatedTiers, ...]:
    return tuple(DatedTiers(price.valid_from, _without_search(price.tiers)) for price in prices)


def _without_search(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    return tuple(replace(tier, rates=replace(tier.rates, search=None)) for tier in tiers)


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


@dataclass(frozen=True, slots=True)
class _Terms:
    """How a model's prices are read: by its kind, and on which days the package's hours of the day hold."""

    kind: str
    window_days: str


def _schedule(model: ModelInfo, terms: _Terms, now: datetime) -> tuple[DatedTiers, ...]:
    """Return the price now and each price announced for a later day."""
    prices = [DatedTiers(None, _tiers_at(model, terms, now))]
    prices += [DatedTiers(start, _tiers_at(model, terms, start)) for start in _starts(model) if start > now]
    return tuple(prices)


def _starts(model: ModelInfo) -> list[datetime]:
    conditions = (price.constraint for price in _conditional(model))
    days = {condition.start_date for condition in conditions if isinstance(condition, StartDateConstraint)}
    return [datetime.combine(day, time(), UTC) for day in sorted(days)]


def _conditional(model: ModelInfo) -> list[ConditionalPrice]:
    if isinstance(model.prices, ModelPrice):
        return [ConditionalPrice(prices=model.prices)]
    return model.prices


def _tiers_at(model: ModelInfo, terms: _Terms, moment: datetime) -> tuple[Tier, ...]:
    """Return the rates of a day, those of its hours among them.

    As in the package the last condition that holds counts, and the first where none does.
    """
    conditions = _conditional(model)
    usual = max((at for at, price in enumerate(conditions) if _holds(price.constraint, moment)), default=0)
    tiers = list(_tiers(conditions[usual].prices, terms.kind))
    for price in conditions[usual + 1 :]:
        if isinstance(price.constraint, TimeOfDateConstraint):
            during = _during(price.constraint, terms.window_days)
            tiers += [replace(tier, during=during) for tier in _tiers(price.prices, terms.kind)]
    try:
        check_tiers(tiers)
    except BadTiers as exc:
        message = f"its price depends on the time of day: {exc}"
        raise Unsellable(message) from None
    return tuple(sorted(tiers, key=lambda tier: (tier.during, tier.above_tokens)))


def _holds(condition: StartDateConstraint | TimeOfDateConstraint | None, moment: datetime) -> bool:
    """Tell whether a condition holds all day."""
    return condition is None or (isinstance(condition, StartDateConstraint) and condition.active(moment))


def _during(condition: TimeOfDateConstraint, days: str) -> str:
    times = (condition.start_time, condition.end_time)
    if any(each.second or each.microsecond or each.utcoffset() not in {None, timedelta()} for each in times):
        raise Unsellable("its price depends on the time of day: not by the minute and in UTC")
    opens, closes = (each.strftime(_WINDOW_TIME) for each in times)
    return f"{days} {opens}-{closes}".strip()


def _tiers(price: ModelPrice, kind: str) -> tuple[Tier, ...]:
    stored = {name: value for name, value in vars(price).items() if value is not None}
    extra = sorted(name for name in stored.keys() - set(_SOLD) if not _NOT_SOLD.fullmatch(name))
    if extra:
        message = f"priced by {', '.join(extra)}"
        raise Unsellable(message)
    for name in _NEEDED.get(kind, ()):
        if name not in stored:
            message = f"no {name.partition('_')[0]} price"
            raise Unsellable(message)
    if kind not in FREE and not stored:
        raise Unsellable("no price")
    starts = {0}
    for name in _SOLD:
        starts.update(_tier_starts(stored.get(name)))
    return tuple(Tier(start, _rates(stored, start)) for start in sorted(starts))


def _tier_starts(price: AnyPrice | None) -> list[int]:
    return [tier.start for tier in price.tiers] if isinstance(price, TieredPrices) else []


def _rates(stored: dict[str, AnyPrice], above_tokens: int) -> Rates:
    """Return the rates of the tier that starts above a number of tokens."""
    known = {
        ours: micro_usd(_base(stored[name], above_tokens), per_million=_UNITS.get(name, Fraction(1)))
        for name, ours in _SOLD.items()
        if name in stored
    }
    return rates_of(known)


def _base(price: AnyPrice, above_tokens: int) -> Decimal:
    if not isinstance(price, TieredPrices):
        return price
    applicable = price.base
    for tier in price.tiers:
        if tier.start <= above_tokens:
            applicable = tier.price
    return applicable
