"""The public price list, for pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, F, QuerySet, When
from django.db.models.expressions import OrderBy

from catalog import snapshot
from catalog.models import NOT_SOLD, CatalogModel, LifeCycle, Price, PriceTier
from catalog.publish import RATES, ascending_tiers, begins_ms, price_of, priced
from catalog.snapshot import Rates, Tier

_PICOS_PER_USD = 10**12
_PICOS_PER_MICRO = 10**6


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One line of the price list; rates are micro-USD per 1M tokens.

    ``windows`` are the rates of certain hours, ``extras`` says in words what is priced apart from plain tokens.
    """

    id: str
    name: str
    kind: str
    provider: str
    provider_slug: str
    context_window: int
    max_output: int
    capabilities: tuple[str, ...]
    is_deprecated: bool
    rates: Rates
    tiers: tuple[Tier, ...]
    windows: tuple[Tier, ...]
    extras: tuple[str, ...]
    is_by_token: bool


_MILLION = 1_000_000
# What is priced apart, and the portion in which people think of it; rates are pico-USD of one.
_EXTRAS = (
    ("cache_write", "cache write {} per 1M tokens", _MILLION),
    ("cache_write_1h", "cache write for an hour {} per 1M tokens", _MILLION),
    ("audio_input", "audio input {} per 1M tokens", _MILLION),
    ("cached_audio_input", "cached audio input {} per 1M tokens", _MILLION),
    ("audio_output", "audio output {} per 1M tokens", _MILLION),
    ("image_input", "image input {} per 1M tokens", _MILLION),
    ("image", "{} per image", 1),
    ("search", "{} per 1,000 web searches", 1_000),
    ("character", "{} per 1M characters", _MILLION),
    ("second", "{} per minute of audio", 60),
)
_PLAIN = ("input", "cached_input", "output")


def extras_of(rates: Rates) -> tuple[str, ...]:
    """Say what is priced apart from plain tokens."""
    apart = [(getattr(rates, name), words, portion) for name, words, portion in _EXTRAS]
    if rates.cache_write == rates.input:
        del apart[0]
    return tuple(
        words.format(picos_usd(rate * portion)) for rate, words, portion in apart if rate is not None
    )


def on_sale() -> QuerySet[CatalogModel]:
    """Return the models that the site shows for sale."""
    return (
        CatalogModel.objects.filter(is_listed=True, pk__in=Price.objects.values("model"))
        .exclude(life_cycle__in=NOT_SOLD)
        .select_related("provider")
    )


def listed(models: Iterable[CatalogModel], *, at: datetime) -> list[ListedModel]:
    """Return models with their prices at a moment, in two queries; each must have a price."""
    rows = list(models)
    prices = prices_in_force([row.pk for row in rows], at=at)
    return [_listed(row, prices[row.pk]) for row in rows]


def prices_in_force(model_ids: Iterable[str], *, at: datetime) -> dict[str, Price]:
    """Return the prices of models at a moment; a first price also covers all time before it."""
    rows = Price.objects.filter(model__in=model_ids).order_by("model", *in_force_first(at)).distinct("model")
    return {row.model_id: row for row in rows.prefetch_related(ascending_tiers())}


def prices_of(models: QuerySet[CatalogModel], *, at: datetime) -> dict[str, snapshot.Price]:
    """Return by id what models cost at a moment, in one query and without an object for each row."""
    in_force = Price.objects.filter(model__in=models.values("pk")).order_by("model", *in_force_first(at))
    rows = PriceTier.objects.filter(price__in=in_force.distinct("model").values("pk")).order_by(
        "above_tokens"
    )
    tiers: defaultdict[tuple[str, str, datetime], list[Tier]] = defaultdict(list)
    for model, price, since, above, during, *rates in rows.values_list(*_PRICED, *RATES):
        tiers[model, price, since].append(Tier(above, Rates(*rates), during))
    return {model: priced(price, begins_ms(since), found) for (model, price, since), found in tiers.items()}


_PRICED = ("price__model", "price", "price__valid_from", "above_tokens", "during")


def in_force_first(at: datetime) -> tuple[OrderBy, OrderBy]:
    """Return the order in which a model's price at a moment comes first."""
    is_later = Case(When(valid_from__gt=at, then=F("valid_from")))
    return is_later.asc(nulls_first=True), F("valid_from").desc()


def rate_usd(micro_usd: int) -> str:
    """Write a rate in USD, exactly, with two places or as many as it needs: ``$2.50``, ``$0.0375``."""
    return picos_usd(micro_usd * _PICOS_PER_MICRO)


def picos_usd(pico_usd: int) -> str:
    """Write an amount in USD, exactly, with two places or as many as it needs."""
    dollars, picos = divmod(pico_usd, _PICOS_PER_USD)
    places = f"{picos:012d}".rstrip("0").ljust(2, "0")
    return f"${dollars:,}.{places}"


def _listed(row: CatalogModel, in_force: Price) -> ListedModel:
    price = price_of(in_force)
    rates = price.tiers[0].rates
    return ListedModel(
        id=row.pk,
        name=row.name,
        kind=row.kind,
        provider=row.provider.name,
        provider_slug=row.provider_id,
        context_window=row.context_window,
        max_output=row.max_output,
        capabilities=tuple(row.capabilities),
        is_deprecated=row.life_cycle == LifeCycle.DEPRECATED,
        rates=rates,
        tiers=price.tiers[1:],
        windows=tuple(tier for window in price.windows for tier in window.price.tiers),
        extras=extras_of(rates),
        is_by_token=any(getattr(rates, name) for name in _PLAIN),
    )
