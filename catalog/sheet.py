"""All that the page of one model says of it: rates by class and tier, dated prices, names, life cycle, channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.text import capfirst

from catalog.listing import extras_of, picos_usd, prices_in_force, rate_usd
from catalog.models import CatalogModel, LifeCycle, ModelAlias, Price, Route
from catalog.publish import ascending_tiers, price_of
from catalog.snapshot import Price as PriceInMemory, Rates, Tier

_MILLION = 1_000_000
_TOKENS = "1M tokens"
# Every class of rates: its name, what it is, and the portion in which people think of it.
_CLASSES = (
    ("input", "Input", _MILLION, _TOKENS),
    ("cached_input", "Cached input", _MILLION, _TOKENS),
    ("cache_write", "Cache write", _MILLION, _TOKENS),
    ("cache_write_1h", "Cache write kept for an hour", _MILLION, _TOKENS),
    ("image_input", "Image input", _MILLION, _TOKENS),
    ("audio_input", "Audio input", _MILLION, _TOKENS),
    ("cached_audio_input", "Cached audio input", _MILLION, _TOKENS),
    ("output", "Output", _MILLION, _TOKENS),
    ("audio_output", "Audio output", _MILLION, _TOKENS),
    ("image", "Image made", 1, "image"),
    ("search", "Web search", 1_000, "1,000 searches"),
    ("character", "Text spoken", _MILLION, "1M characters"),
    ("second", "Audio heard", 60, "minute"),
)
_OF_TOKENS = frozenset({"input", "cached_input", "cache_write", "output"})
_MOST_PRICES = 40


class NotShown(Exception):
    """No model of this name has a page."""


class IsAlias(Exception):
    """The name is another one for a model, whose id is ``model_id``."""

    def __init__(self, model_id: str) -> None:
        super().__init__(model_id)
        self.model_id = model_id


@dataclass(frozen=True, slots=True)
class RateRow:
    """What one class of tokens or units costs in each column; ``-`` where it has no rate of its own."""

    name: str
    unit: str
    amounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatedPrice:
    """One price in a model's history; ``state`` is announced, now or past."""

    valid_from: datetime
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A model as its page shows it; ``columns`` head the tiers and hours of ``rows``, empty where there is but one."""

    model: CatalogModel
    valid_from: datetime
    columns: tuple[str, ...]
    rows: tuple[RateRow, ...]
    history: tuple[DatedPrice, ...]
    aliases: tuple[str, ...]
    served_by: tuple[str, ...]
    adapters: tuple[str, ...]

    @property
    def is_retired(self) -> bool:
        """Whether it is no longer sold."""
        return self.model.life_cycle == LifeCycle.RETIRED


def sheet(name: str, *, at: datetime) -> Sheet:
    """Return the page of a model in seven queries or fewer; raises ``NotShown`` and ``IsAlias``."""
    model = CatalogModel.objects.filter(pk=name).select_related("provider", "replaced_by").first()
    if model is None:
        raise _other_name(name)
    in_force = prices_in_force([model.pk], at=at).get(model.pk)
    if in_force is None or not model.is_listed:
        raise NotShown
    price, routes = price_of(in_force), _routes(model)
    return Sheet(
        model=model,
        valid_from=in_force.valid_from,
        columns=tuple(_columns(price)),
        rows=tuple(_rows(price)),
        history=_history(model, in_force, at),
        aliases=tuple(model.aliases.order_by("name").values_list("name", flat=True)),
        served_by=tuple(dict.fromkeys(provider for provider, _ in routes)),
        adapters=tuple(dict.fromkeys(adapter for _, adapter in routes)),
    )


def _other_name(name: str) -> Exception:
    alias = ModelAlias.objects.filter(name=name, model__is_listed=True).first()
    return IsAlias(alias.model_id) if alias else NotShown()


def _routes(model: CatalogModel) -> list[tuple[str, str]]:
    routes = Route.objects.filter(model=model, channel__is_enabled=True).order_by("channel__priority", "pk")
    return list(routes.values_list("channel__provider__name", "channel__adapter"))


def _all_tiers(price: PriceInMemory) -> tuple[Tier, ...]:
    return (*price.tiers, *(tier for window in price.windows for tier in window.price.tiers))


def _columns(price: PriceInMemory) -> Iterator[str]:
    tiers = _all_tiers(price)
    for tier in tiers if len(tiers) > 1 else ():
        size = f"above {tier.above_tokens:,} input tokens" if tier.above_tokens else ""
        hours = f"{tier.during} UTC" if tier.during else ""
        yield capfirst(", ".join(part for part in (hours, size) if part)) or "Base"


def _rows(price: PriceInMemory) -> Iterator[RateRow]:
    rates = [tier.rates for tier in _all_tiers(price)]
    for name, title, portion, unit in _CLASSES:
        values = [_rate(each, name) for each in rates]
        if any(value is not None for value in values):
            amounts = tuple("–" if value is None else picos_usd(value * portion) for value in values)
            yield RateRow(title, unit, amounts)


def _rate(rates: Rates, name: str) -> int | None:
    """Return a rate that is worth a line: none for tokens that cost nothing or, written to a cache, what input costs."""
    rate: int | None = getattr(rates, name)
    is_said_elsewhere = name == "cache_write" and rate == rates.input
    return None if (name in _OF_TOKENS and not rate) or is_said_elsewhere else rate


def _history(model: CatalogModel, in_force: Price, at: datetime) -> tuple[DatedPrice, ...]:
    rows = Price.objects.filter(model=model).order_by("-valid_from")[:_MOST_PRICES]
    return tuple(_dated(row, in_force, at) for row in rows.prefetch_related(ascending_tiers()))


def _dated(row: Price, in_force: Price, at: datetime) -> DatedPrice:
    state = "announced" if row.valid_from > at else "past"
    return DatedPrice(row.valid_from, "now" if row.pk == in_force.pk else state, _words(price_of(row)))


def _words(price: PriceInMemory) -> str:
    rates, more = price.tiers[0].rates, len(_all_tiers(price)) - 1
    tokens = (("input", rates.input), ("cached", rates.cached_input), ("output", rates.output))
    parts: Iterable[str] = [
        *(f"{name} {rate_usd(rate)}" for name, rate in tokens if rate),
        *extras_of(rates),
        *([f"{more} more {'rate' if more == 1 else 'rates'} by size or hour"] if more else []),
    ]
    return capfirst(" · ".join(parts)) or "Free"
