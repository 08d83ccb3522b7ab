"""Tokens times prices: the only arithmetic on prices, exact and in integers.

This is a door: it knows neither the ORM nor Django.
"""

from __future__ import annotations

import functools

import msgspec

from catalog.snapshot import Price, Rates
from fastanchor.lib.money import Picos


class Usage(msgspec.Struct, frozen=True):
    """What one request used, the same for every provider.

    ``input_tokens`` includes cached, written, audio and image tokens; ``output_tokens`` includes reasoning and audio;
    ``cache_write_tokens`` includes those kept for an hour. What follows ``reasoning_tokens`` is billed by its own unit.
    """

    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    # Pictures made, web searches done, characters spoken, seconds heard (begun ones count).
    images: int = 0
    searches: int = 0
    characters: int = 0
    seconds: int = 0


def rates_at(price: Price, input_tokens: int) -> Rates:
    """Return the rates of a request: those of the highest tier that its input exceeds."""
    rates = price.tiers[0].rates
    for tier in price.tiers[1:]:
        if input_tokens > tier.above_tokens:
            rates = tier.rates
    return rates


def cost_picos(price: Price, usage: Usage) -> Picos:
    """Return what a request costs in pico-USD; all its tokens are charged at one tier's rates.

    Upstreams that report more cached tokens than input, or negative numbers, are read as the nearest
    possible usage, so a cost is never above ``dearest`` and never below zero.
    """
    total = max(0, usage.input_tokens)
    cached = min(max(0, usage.cached_tokens), total)
    written = min(max(0, usage.cache_write_tokens), total - cached)
    rates = rates_at(price, total)
    return Picos(
        (total - cached - written) * rates.input
        + cached * rates.cached_input
        + written * rates.cache_write
        + max(0, usage.output_tokens) * rates.output
    )


@functools.lru_cache(maxsize=4096)
def dearest(price: Price) -> Rates:
    """Return the highest rate of each kind over all tiers, for holds.

    ``input`` is the highest that any token of input can cost, whether read, cached or written to the cache.
    """
    tiers = [tier.rates for tier in price.tiers]
    cached_input = max(rates.cached_input for rates in tiers)
    cache_write = max(rates.cache_write for rates in tiers)
    return Rates(
        input=max(cached_input, cache_write, *(rates.input for rates in tiers)),
        cached_input=cached_input,
        cache_write=cache_write,
        output=max(rates.output for rates in tiers),
    )
