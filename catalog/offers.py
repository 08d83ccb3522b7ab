"""What the catalog could sell, read from files before it meets the database; no ORM here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from catalog.snapshot import Rates, Tier

DATA = Path(__file__).resolve().parent / "data"
MICRO_USD_PER_USD = 1_000_000


SEARCH = "web_search"
# Kinds whose answers are counted in tokens, and those that may cost nothing at all.
WRITING = frozenset({"chat", "image", "speech", "transcription"})
FREE = frozenset({"moderation"})
_READS = {"vision": "image", "audio": "audio", "files": "file"}
_INPUTS = {
    "embedding": ("text",),
    "image": ("text",),
    "speech": ("text",),
    "transcription": ("audio",),
    "moderation": ("text", "image"),
}
_OUTPUTS = {"embedding": ("embedding",), "image": ("image",), "speech": ("audio",)}


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
    kind: str = "chat"
    traits: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ("text",)


@dataclass(frozen=True, slots=True)
class ProviderOffer:
    """One provider and, where its models are imported, the rules of the import."""

    slug: str
    name: str
    key_variable: str
    base_url: str
    development_only: bool
    import_rules: dict[str, Any] | None
    adapter: str = "openai"
    # What earlier versions made of this provider: adapter and base URL.
    former: tuple[tuple[str, str], ...] = ()


def micro_usd(dollars: Decimal, *, per_million: Fraction = Fraction(1)) -> int:
    """Convert USD to whole micro-USD; raises ``InexactPrice`` when something would be rounded off.

    ``per_million`` is how many times the amount is due for a million of what we count.
    """
    if not dollars.is_finite() or dollars < 0:
        message = f"{dollars} USD is not an amount"
        raise InexactPrice(message)
    micros = Fraction(dollars) * MICRO_USD_PER_USD * per_million
    if micros.denominator != 1:
        message = f"{dollars} USD is not a whole number of micro-USD"
        raise InexactPrice(message)
    return micros.numerator


def rates_of(known: Mapping[str, int]) -> Rates:
    """Fill in what a list of prices does not name: what is read from or written to a cache costs as if it was not."""
    plain = known.get("input", 0)
    rates: dict[str, int] = {"input": plain, "cached_input": plain, "cache_write": plain, "output": 0}
    if "cached_input" not in known and "audio_input" in known:
        rates["cached_audio_input"] = known["audio_input"]
    return Rates(**(rates | dict(known)))


def read_product() -> list[Offer]:
    """Return the models of the product page from ``data/product.toml``."""
    return [_product_offer(entry) for entry in _read("product.toml")["model"]]


def read_providers() -> list[ProviderOffer]:
    """Return the providers of ``data/providers.toml``."""
    return [_provider_offer(entry) for entry in _read("providers.toml")["provider"]]


def capabilities_of(kind: str, wanted: Iterable[str], *, has_search: bool) -> tuple[str, ...]:
    """Return what a model can do here: whatever writes text streams, and a search needs a price."""
    able = tuple(each for each in wanted if each != SEARCH or has_search)
    return ("streaming", *able) if kind == "chat" else able


def inputs_of(kind: str, capabilities: Iterable[str]) -> tuple[str, ...]:
    """Return what a model reads, judged by what it is and can do."""
    if kind != "chat":
        return _INPUTS[kind]
    can = set(capabilities)
    return ("text", *(what for ability, what in _READS.items() if ability in can))


def outputs_of(kind: str) -> tuple[str, ...]:
    """Return what a model makes."""
    return _OUTPUTS.get(kind, ("text",))


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
        adapter=entry.get("adapter", "openai"),
        former=tuple((each["adapter"], each["base_url"]) for each in entry.get("former", ())),
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
        input_modalities=inputs_of("chat", capabilities),
        created_at=_midnight(entry["created"]),
        aliases=tuple(entry.get("aliases", ())),
        prices=(DatedTiers(None, (Tier(0, _rates(entry["price"])),)),),
        traits=tuple(entry.get("traits", ())),
    )


def _rates(price: dict[str, str]) -> Rates:
    return rates_of({name: micro_usd(Decimal(dollars)) for name, dollars in price.items()})


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
