from __future__ import annotations

import re
from html import unescape

import pytest

from fastanchor.lib.charts import Bar, bar_chart


def heights(values: list[int]) -> list[int]:
    svg = bar_chart([Bar("", value) for value in values], name="Requests")
    return [int(height) for height in re.findall(r'class="chart-bar"[^>]* height="(\d+)"', svg)]


def test_the_tallest_bar_fills_the_height_and_the_others_are_in_proportion() -> None:
    assert heights([50, 200, 100]) == [25, 100, 50]


def test_a_small_value_is_still_visible_and_zero_is_not() -> None:
    assert heights([1, 0, 1_000_000]) == [2, 0, 100]


@pytest.mark.parametrize("values", [[], [0, 0, 0]])
def test_a_chart_without_values_is_a_base_line(values: list[int]) -> None:
    assert sum(heights(values)) == 0
    assert "chart-base" in bar_chart([Bar("", value) for value in values], name="Requests")


def test_sums_beyond_any_float_are_drawn_exactly() -> None:
    assert heights([2**62, 2**62 // 2]) == [100, 50]


def test_each_bar_says_in_words_what_it_shows_and_the_chart_has_a_name() -> None:
    svg = bar_chart([Bar("09:00: 3 requests", 3)], name="Requests by hour")

    assert 'role="img" aria-label="Requests by hour"' in svg
    assert re.findall(r"<title>(.*?)</title>", svg) == ["09:00: 3 requests"]


def test_words_are_text_and_never_markup() -> None:
    svg = bar_chart([Bar("</title><script>", 1)], name='"><script>')

    assert "<script>" not in svg
    assert [unescape(label) for label in re.findall(r'aria-label="([^"]*)"', svg)] == ['"><script>']


def test_colours_come_from_the_style_sheet() -> None:
    assert not re.search(r"style=|fill=|#[0-9a-f]{3}", bar_chart([Bar("", 1)], name="x"))
