"""Charts as SVG strings: whole numbers only, no script, colours by class so that the style sheet decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

SLOT = 20
BAR = 14
HEIGHT = 100
# A value above zero is always visible, however small it is beside the tallest.
LEAST_HEIGHT = 2
_WIDTH = 1_000


@dataclass(frozen=True, slots=True)
class Bar:
    """One value (zero or more, any unit) and the words that name it."""

    title: str
    value: int


def bar_chart(bars: Sequence[Bar], *, name: str) -> SafeString:
    """Return an SVG of bars side by side; the tallest value fills the height, ``name`` is what is read aloud."""
    tallest = max((bar.value for bar in bars), default=0)
    drawn = format_html_join(
        "", "{}", ((_bar(number, bar, _height(bar.value, tallest)),) for number, bar in enumerate(bars))
    )
    return format_html(
        '<svg class="chart-drawing" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="chart-base" y="{}" width="{}" height="1"/>{}</svg>',
        SLOT * len(bars), HEIGHT + 1, name, HEIGHT, SLOT * len(bars), drawn,
    )  # fmt: skip


def _height(value: int, tallest: int) -> int:
    if value <= 0:
        return 0
    return max(LEAST_HEIGHT, value * HEIGHT // tallest)


def _bar(number: int, bar: Bar, height: int) -> SafeString:
    start = number * SLOT
    return format_html(
        '<g class="chart-hour"><title>{}</title><rect class="chart-hit" x="{}" width="{}" height="{}"/>'
        '<rect class="chart-bar" x="{}" y="{}" width="{}" height="{}"/></g>',
        bar.title, start, SLOT, HEIGHT, start + (SLOT - BAR) // 2, HEIGHT - height, BAR, height,
    )  # fmt: skip


def span_bar(parts: Sequence[Bar], *, name: str) -> SafeString:
    """Return an SVG of one bar that parts share by their values, first to last; each has a class of its number."""
    whole = max(1, sum(part.value for part in parts))
    drawn, start = [], 0
    for number, part in enumerate(parts):
        end = start + part.value
        left, right = start * _WIDTH // whole, end * _WIDTH // whole
        drawn.append((number, left, max(1, right - left), part.title))
        start = end
    return format_html(
        '<svg class="span-bar" viewBox="0 0 {} 10" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        _WIDTH,
        name,
        format_html_join(
            "", '<rect class="span-part-{}" x="{}" width="{}" height="10"><title>{}</title></rect>', drawn
        ),
    )
