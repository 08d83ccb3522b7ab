"""The lines of a receipt add up to the cost exactly, and name the rule that applied."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, strategies as st

from catalog.breakdown import Breakdown, Line, breakdown
from catalog.pricing import Usage, cost_picos
from catalog.publish import priced
from catalog.snapshot import Price, Rates, Tier

any_rate = st.none() | st.integers(0, 200_000_000)
any_rates = st.builds(Rates, *[st.integers(0, 200_000_000)] * 4, *[any_rate] * 9)
counts = st.integers(-10, 5_000) | st.integers(-(10**9), 10**9)
usages = st.builds(Usage, *[counts] * 14)
moments = st.integers(0, 4 * 7 * 24 * 3600)
NIGHT, NOON = "16:30-00:30", "mon-fri 12:00-13:00"


@st.composite
def prices(draw: st.DrawFn) -> Price:
    tiers = [
        Tier(above, draw(any_rates), during)
        for during in ("", *draw(st.sets(st.sampled_from([NIGHT, NOON]))))
        for above in (0, *sorted(draw(st.sets(st.integers(1, 10_000), max_size=2))))
    ]
    return priced("price_any", 0, tiers)


@given(prices(), usages, moments)
def test_the_lines_add_up_to_the_cost_whatever_was_reported(price: Price, usage: Usage, at: int) -> None:
    assert breakdown(price, usage, started_at=at).picos == cost_picos(price.at(at), usage)


@given(prices(), usages, moments)
def test_every_token_stands_on_one_line_and_none_is_counted_below_zero(
    price: Price, usage: Usage, at: int
) -> None:
    lines = breakdown(price, usage, started_at=at).lines

    assert all(line.count > 0 for line in lines)
    assert len({line.kind for line in lines}) == len(lines)
    units = {"image", "search", "character", "second"}
    tokens = sum(line.count for line in lines if line.kind not in units)
    assert tokens == max(0, usage.input_tokens) + max(0, usage.output_tokens)


def test_each_special_class_is_a_line_with_its_own_rate() -> None:
    rates = Rates(
        input=10, cached_input=2, cache_write=12, output=40, cache_write_1h=20, audio_input=30, cached_audio_input=3,
        audio_output=80, image_input=15, image=1_000, search=2_000, character=3_000, second=4_000,
    )  # fmt: skip
    usage = Usage(
        1_000, 100, 50, 200, 0, cache_write_1h_tokens=20, audio_input_tokens=300, cached_audio_tokens=40,
        audio_output_tokens=60, image_input_tokens=70, images=1, searches=2, characters=3, seconds=4,
    )  # fmt: skip

    found = breakdown(Price("price_rich", 0, (Tier(0, rates),)), usage, started_at=0)

    assert found.lines == (
        Line("input", 520, 10), Line("image_input", 70, 15), Line("audio_input", 260, 30),
        Line("cached_input", 60, 2), Line("cached_audio_input", 40, 3),
        Line("cache_write", 30, 12), Line("cache_write_1h", 20, 20),
        Line("output", 140, 40), Line("audio_output", 60, 80),
        Line("image", 1, 1_000), Line("search", 2, 2_000), Line("character", 3, 3_000), Line("second", 4, 4_000),
    )  # fmt: skip


def test_a_receipt_names_the_tier_and_the_hours_that_applied() -> None:
    cheap, dear, quiet = (Rates(rate, rate, rate, rate) for rate in (5, 9, 2))
    price = priced("price_hours", 0, [Tier(0, cheap), Tier(100, dear), Tier(0, quiet, NIGHT)])
    night, day = (datetime(2026, 11, 30, hour, tzinfo=UTC).timestamp() for hour in (20, 10))

    assert breakdown(price, Usage(101, 0, 0, 0, 0), started_at=day) == Breakdown(
        (Line("input", 101, 9),), 100, ""
    )
    assert breakdown(price, Usage(100, 0, 0, 0, 0), started_at=day).above_tokens == 0
    assert breakdown(price, Usage(101, 0, 0, 0, 0), started_at=night) == Breakdown(
        (Line("input", 101, 2),), 0, NIGHT
    )
