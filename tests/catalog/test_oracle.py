"""What we charge is what genai-prices calculates on its own, in Decimal: to the pico-USD, for every imported model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.types import ModelInfo, Usage as PackageUsage
from hypothesis import given, settings, strategies as st

from catalog.importing import package_providers, read_package
from catalog.offers import Offer, read_providers
from catalog.pricing import Usage, cost_picos, dearest, units_picos
from catalog.publish import begins_ms, priced
from catalog.snapshot import Model, Price

# A Monday.
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PICOS_PER_USD = 10**12


@dataclass(frozen=True)
class Sold:
    """A model as we sell it, and the package's own idea of it."""

    model: Model
    info: ModelInfo
    is_quiet_at_weekends: bool

    def __repr__(self) -> str:
        return self.model.id

    def expected(self, usage: Usage, at: datetime) -> Decimal:
        """Return what the package says, in pico-USD."""
        if self.is_quiet_at_weekends and at.weekday() >= 5:
            # The package knows hours but no days; its comment tells that there is no peak at weekends.
            at = at.replace(hour=12)
        price = self.info.get_prices(at).calc_price(PackageUsage(**_as_package(usage)))
        return price["total_price"] * PICOS_PER_USD

    def price_at(self, at: datetime) -> Price:
        return self.model.price_at(at.timestamp())


def _as_package(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "input_audio_tokens": usage.audio_input_tokens,
        "cache_audio_read_tokens": usage.cached_audio_tokens,
        "input_image_tokens": usage.image_input_tokens,
        "cache_image_read_tokens": 0,
        "output_tokens": usage.output_tokens,
        "output_audio_tokens": usage.audio_output_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "web_searches": usage.searches,
        "input_characters": usage.characters,
        "audio_seconds": usage.seconds,
        "input_audio_seconds": usage.seconds,
    }


def _sold() -> Iterator[Sold]:
    providers = read_providers()
    rules = {rule.slug: rule.import_rules for rule in providers if rule.import_rules}
    by_source = {package.id: package for package in package_providers}
    offers, _ = read_package(package_providers, providers, now=NOW)
    for offer in offers:
        rule = rules[offer.provider]
        infos = by_source[rule["source"]].models
        yield Sold(
            _model(offer),
            next(info for info in infos if _our_id(info, rule) == offer.id),
            rule.get("window_days") == "mon-fri",
        )


def _our_id(info: ModelInfo, rule: dict[str, Any]) -> str:
    return f"{rule.get('prefix', '')}{rule.get('id', {}).get(info.id, info.id)}".lower()


def _model(offer: Offer) -> Model:
    prices = [
        priced("price_x", begins_ms(dated.valid_from) if dated.valid_from else 0, dated.tiers)
        for dated in reversed(offer.prices)
    ]
    return Model(
        offer.id, offer.provider, "", 0, 0, frozenset(offer.capabilities), (), (), 0, tuple(prices), ()
    )


SOLD = list(_sold())
# Weeks with every hour, and the days on which announced prices begin.
MINUTES = 10 * 7 * 24 * 60


def _split(rng: random.Random, total: int) -> int:
    return rng.choice([0, total, rng.randint(0, total)])


def _usage(rng: random.Random, sold: Sold, total: int) -> Usage:
    """Make a usage that a provider could report."""
    cached = _split(rng, total)
    written = _split(rng, total - cached)
    plain = total - cached - written
    audio, cached_audio = _split(rng, plain), _split(rng, cached)
    output = rng.randint(0, 200_000)
    sells_searches = "web_search" in sold.model.capabilities
    return Usage(
        input_tokens=total,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=0,
        cache_write_1h_tokens=_split(rng, written),
        audio_input_tokens=audio + cached_audio,
        cached_audio_tokens=cached_audio,
        audio_output_tokens=_split(rng, output),
        image_input_tokens=_split(rng, plain - audio),
        searches=rng.randint(0, 9) if sells_searches else 0,
        characters=rng.randint(0, 4_096),
        seconds=rng.randint(0, 9_000),
    )


def _check(sold: Sold, usage: Usage, at: datetime) -> None:
    price = sold.price_at(at)
    cost = cost_picos(price, usage)
    most = dearest(price)

    assert cost == sold.expected(usage, at), (sold, usage, at)
    assert (
        0
        <= cost
        <= (usage.input_tokens * most.input + usage.output_tokens * most.output + units_picos(most, usage))
    ), (sold, usage, at)


@pytest.mark.parametrize("sold", SOLD, ids=repr)
def test_every_imported_model_costs_what_the_package_calculates(sold: Sold) -> None:
    rng = random.Random(sold.model.id)
    edges = {
        tier.above_tokens + by for price in sold.model.prices for tier in price.tiers for by in (-1, 0, 1)
    }
    totals = [*sorted(edge for edge in edges if edge >= 0), *(rng.randint(0, 2_000_000) for _ in range(12))]

    for total in totals:
        _check(sold, _usage(rng, sold, total), NOW + timedelta(minutes=rng.randint(0, MINUTES)))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SOLD), st.integers(0, 2_000_000), st.integers(0, MINUTES), st.integers(0))
def test_any_usage_at_any_moment_costs_what_the_package_calculates(
    sold: Sold, total: int, minutes: int, seed: int
) -> None:
    _check(sold, _usage(random.Random(seed), sold, total), NOW + timedelta(minutes=minutes))


def test_the_oracle_has_seen_every_class_that_is_sold() -> None:
    priced_apart = {
        name
        for sold in SOLD
        for tier in sold.model.prices[0].tiers
        for name in tier.rates.__slots__
        if getattr(tier.rates, name)
    }

    assert priced_apart == {
        "input", "cached_input", "cache_write", "output", "cache_write_1h", "audio_input", "cached_audio_input",
        "audio_output", "image_input", "search", "character", "second",
    }  # fmt: skip
    assert [sold.model.id for sold in SOLD if sold.model.prices[0].windows] == ["deepseek-flash"]
    assert any(len(sold.model.prices) > 1 for sold in SOLD)


@pytest.mark.parametrize(
    ("moment", "input_rate"),
    [
        ("2026-11-23T00:59:59", 150_000),
        ("2026-11-23T01:00:00", 300_000),
        ("2026-11-23T03:59:59", 300_000),
        ("2026-11-23T04:00:00", 150_000),
        ("2026-11-27T09:59:59", 300_000),
        ("2026-11-27T10:00:00", 150_000),
        ("2026-11-28T02:00:00", 150_000),
        ("2026-11-29T07:00:00", 150_000),
    ],
)
def test_deepseek_costs_more_in_the_peak_hours_of_weekdays(moment: str, input_rate: int) -> None:
    (sold,) = (sold for sold in SOLD if sold.model.id == "deepseek-flash")

    price = sold.price_at(datetime.fromisoformat(moment).replace(tzinfo=UTC))

    assert price.tiers[0].rates.input == input_rate
