"""Tokens and other units times prices: the only arithmetic on prices, exact and in integers.

This is a door: it knows neither the ORM nor Django.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import Any

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
    # How many of the audio tokens of input were cached, where the upstream tells.
    cached_audio_tokens: int = 0


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
    output = max(0, usage.output_tokens)
    rates = rates_at(price, total)
    picos = (
        (total - cached - written) * rates.input
        + cached * rates.cached_input
        + written * rates.cache_write
        + output * rates.output
    )
    if _special(usage) != _NOTHING_SPECIAL:
        picos += _surcharge(rates, usage, plain=total - cached - written, cached=cached, written=written)
        picos += _extra(usage.audio_output_tokens, output, rates.audio_output, rates.output)
        picos += units_picos(rates, usage)
    return Picos(picos)


_special = operator.attrgetter(
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "cached_audio_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "images",
    "searches",
    "characters",
    "seconds",
)
_NOTHING_SPECIAL = (0,) * 9


def _surcharge(rates: Rates, usage: Usage, *, plain: int, cached: int, written: int) -> int:
    """Return what special kinds of input cost above (or below) the kinds they were counted as."""
    cached_audio = min(max(0, usage.cached_audio_tokens), cached)
    # What cannot be plain input is taken to be cached audio that was not told apart.
    audio = min(max(0, usage.audio_input_tokens - cached_audio), plain)
    return (
        _extra(usage.cache_write_1h_tokens, written, rates.cache_write_1h, rates.cache_write)
        + _extra(cached_audio, cached, rates.cached_audio_input, rates.cached_input)
        + _extra(audio, plain, rates.audio_input, rates.input)
        + _extra(usage.image_input_tokens, plain - audio, rates.image_input, rates.input)
    )


def _extra(count: int, most: int, rate: int | None, counted_at: int) -> int:
    return 0 if rate is None else min(max(0, count), most) * (rate - counted_at)


def units_picos(rates: Rates, usage: Usage) -> int:
    """Return what is billed beside tokens; with the rates of ``dearest``, the most that it can cost."""
    return (
        max(0, usage.images) * (rates.image or 0)
        + max(0, usage.searches) * (rates.search or 0)
        + max(0, usage.characters) * (rates.character or 0)
        + max(0, usage.seconds) * (rates.second or 0)
    )


@functools.lru_cache(maxsize=4096)
def dearest(price: Price, *, has_sound: bool = True) -> Rates:
    """Return the highest rate of each kind over all tiers, for holds.

    ``input`` is the highest that any token of input can cost, whether read, cached, written to the cache or no text;
    without sound in the prompt it leaves the rates of sound aside. ``output`` is the highest of any token of output.
    """
    tiers = [tier.rates for tier in price.tiers]
    most = Rates(*(_highest(tiers, name) for name in Rates.__slots__))
    inputs = [most.input, most.cached_input, most.cache_write, most.cache_write_1h, most.image_input]
    if has_sound:
        inputs += [most.audio_input, most.cached_audio_input]
    return dataclasses.replace(
        most,
        input=max(rate or 0 for rate in inputs),
        output=max(most.output, most.audio_output or 0),
    )


def _highest(tiers: list[Rates], name: str) -> Any:
    return max((rate for rates in tiers if (rate := getattr(rates, name)) is not None), default=None)
