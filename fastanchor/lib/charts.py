"""Charts as SVG strings: whole numbers only, no script, colours by class so that the style sheet decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

SLOT = 20
BAR = 14
HEIGHT = 100
# A value above zero is always visible, however small it is beside the tallest.
LEAST_HEIGHT = 2
_WIDTH = 1_000
_STEP, _CELL = 12, 9
_SPARK_WIDTH, _SPARK_HEIGHT = 96, 20
_SIZES = {"warn": 80, "bad": 60, "none": 30}


@dataclass(frozen=True, slots=True)
class Bar:
    """One value (zero or more, any unit) and the words that name it."""

    title: str
    value: int


def bar_chart(bars: Sequence[Bar], *, name: str) -> SafeString:
    """Return an SVG of bars side by side; the tallest value fills the height, ``name`` is what is read aloud."""
    tallest = max((bar.value for bar in bars), default=0)
    drawn = SafeString(
        "".join(_bar(number, bar, _height(bar.value, tallest)) for number, bar in enumerate(bars))
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


def _bar(number: int, bar: Bar, height: int) -> str:
    start = number * SLOT
    return (
        f'<g class="chart-hour"><title>{escape(bar.title)}</title>'
        f'<rect class="chart-hit" x="{start}" width="{SLOT}" height="{HEIGHT}"/>'
        f'<rect class="chart-bar" x="{start + (SLOT - BAR) // 2}" y="{HEIGHT - height}" width="{BAR}" height="{height}"/></g>'
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """One of several things side by side that are well or not: the words that name it, and its tone as a class."""

    title: str
    tone: str


def strip(cells: Sequence[Cell], *, name: str) -> SafeString:
    """Return an SVG of cells side by side; what is not well is also shorter, for who does not tell colours apart."""
    drawn = format_html_join(
        "",
        '<g><title>{}</title><rect class="strip-cell is-{}" x="{}" y="{}" width="{}" height="{}" rx="2"/></g>',
        (
            (
                cell.title,
                cell.tone,
                number * _STEP,
                HEIGHT - _SIZES.get(cell.tone, HEIGHT),
                _CELL,
                _SIZES.get(cell.tone, HEIGHT),
            )
            for number, cell in enumerate(cells)
        ),
    )
    return format_html(
        '<svg class="strip" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        max(0, _STEP * len(cells) - (_STEP - _CELL)), HEIGHT, name, drawn,
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


def sparkline(values: Sequence[int], *, name: str) -> SafeString:
    """Return an SVG of a line without axes; the highest value is at the top, ``name`` is what is read aloud."""
    highest = max(values, default=0) or 1
    points = " ".join(
        f"{number * _SPARK_WIDTH // max(1, len(values) - 1)},{_SPARK_HEIGHT - 1 - value * (_SPARK_HEIGHT - 2) // highest}"
        for number, value in enumerate(values)
    )
    return format_html(
        '<svg class="sparkline" width="{}" height="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<polyline points="{}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>',
        _SPARK_WIDTH, _SPARK_HEIGHT, _SPARK_WIDTH, _SPARK_HEIGHT, name, points,
    )  # fmt: skip
