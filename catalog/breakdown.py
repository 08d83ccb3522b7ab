"""The arithmetic of one request, line by line, as its receipt shows it; it adds up to ``cost_picos`` exactly.

This is a door: it knows neither the ORM nor Django.
"""

from __future__ import annotations

import msgspec

from catalog.pricing import Usage, rates_at
from catalog.snapshot import Price, Rates


class Line(msgspec.Struct, frozen=True):
    """So many tokens or units of one class, and what each costs in pico-USD; classes are named as their rates are."""

    kind: str
    count: int
    rate_picos: int

    @property
    def picos(self) -> int:
        """Return the cost of the line."""
        return self.count * self.rate_picos


class Breakdown(msgspec.Struct, frozen=True):
    """What a request costs by the rates of its price, and which of these applied.

    ``above_tokens`` is the threshold of the tier, 0 for the base tier; ``during`` the hours that were open, empty for
    the usual ones.
    """

    lines: tuple[Line, ...]
    above_tokens: int
    during: str

    @property
    def picos(self) -> int:
        """Return the sum of the lines."""
        return sum(line.picos for line in self.lines)


def breakdown(price: Price, usage: Usage, *, started_at: float) -> Breakdown:
    """Take the cost of a request apart, by the rates of ``price`` that were in force when it started (unix seconds)."""
    now = price.at(started_at)
    total = max(0, usage.input_tokens)
    rates = rates_at(now, total)
    lines = [*_input_lines(rates, usage, total), *_output_lines(rates, usage), *_unit_lines(rates, usage)]
    return Breakdown(
        lines=tuple(line for line in lines if line.count),
        above_tokens=max((tier.above_tokens for tier in now.tiers if total > tier.above_tokens), default=0),
        during=next((window.during for window in price.windows if window.price is now), ""),
    )


def _input_lines(rates: Rates, usage: Usage, total: int) -> list[Line]:
    cached = _within(usage.cached_tokens, total)
    written = _within(usage.cache_write_tokens, total - cached)
    plain = total - cached - written
    cached_audio = _within(usage.cached_audio_tokens, cached)
    audio = _within(usage.audio_input_tokens - cached_audio, plain)
    image = _within(usage.image_input_tokens, plain - audio)
    written_1h = _within(usage.cache_write_1h_tokens, written)
    return [
        *_parted(
            Line("input", plain, rates.input),
            ("image_input", image, rates.image_input),
            ("audio_input", audio, rates.audio_input),
        ),
        *_parted(
            Line("cached_input", cached, rates.cached_input),
            ("cached_audio_input", cached_audio, rates.cached_audio_input),
        ),
        *_parted(
            Line("cache_write", written, rates.cache_write),
            ("cache_write_1h", written_1h, rates.cache_write_1h),
        ),
    ]


def _output_lines(rates: Rates, usage: Usage) -> list[Line]:
    output = max(0, usage.output_tokens)
    audio = _within(usage.audio_output_tokens, output)
    return _parted(Line("output", output, rates.output), ("audio_output", audio, rates.audio_output))


def _unit_lines(rates: Rates, usage: Usage) -> list[Line]:
    units = (
        ("image", usage.images, rates.image),
        ("search", usage.searches, rates.search),
        ("character", usage.characters, rates.character),
        ("second", usage.seconds, rates.second),
    )
    # A unit without a rate is not billed: pictures that were counted in tokens, for one.
    return [Line(kind, max(0, count), rate) for kind, count, rate in units if rate is not None]


def _parted(whole: Line, *parts: tuple[str, int, int | None]) -> list[Line]:
    """Return a class of tokens as a line, and the parts of it that have rates of their own as others."""
    own = [Line(kind, count, rate) for kind, count, rate in parts if rate is not None]
    rest = whole.count - sum(line.count for line in own)
    return [Line(whole.kind, rest, whole.rate_picos), *own]


def _within(count: int, most: int) -> int:
    return min(max(0, count), most)
