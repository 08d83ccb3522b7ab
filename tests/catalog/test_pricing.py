"""Costs are exact, linear, and never above the dearest rates."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from catalog.pricing import Usage, cost_picos, dearest, rates_at, units_picos
from catalog.snapshot import Model, Price, Rates, Tier

CHEAP = Rates(input=3, cached_input=1, cache_write=5, output=11)
DEAR = Rates(input=7, cached_input=2, cache_write=13, output=17)
FLAT = Price("price_flat", 0, (Tier(0, CHEAP),))
TIERED = Price("price_tiered", 0, (Tier(0, CHEAP), Tier(200_000, DEAR)))

tokens = st.integers(0, 10_000_000)
rates = st.builds(Rates, *[st.integers(0, 200_000_000)] * 4)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    thresholds = sorted(draw(st.sets(st.integers(1, 5_000_000), max_size=3)))
    return Price("price_any", 0, tuple(Tier(above, draw(rates)) for above in [0, *thresholds]))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    total = draw(tokens)
    cached = draw(st.integers(0, total))
    written = draw(st.integers(0, total - cached))
    return Usage(total, cached, written, draw(tokens), 0)


def _usage(total: int = 0, cached: int = 0, written: int = 0, output: int = 0, reasoning: int = 0) -> Usage:
    return Usage(total, cached, written, output, reasoning)


def test_each_kind_of_token_has_its_own_rate() -> None:
    usage = _usage(total=1_000, cached=100, written=10, output=20, reasoning=15)

    assert cost_picos(FLAT, usage) == 890 * 3 + 100 * 1 + 10 * 5 + 20 * 11


@pytest.mark.parametrize(
    ("total", "rate"), [(0, 3), (1, 3), (199_999, 3), (200_000, 3), (200_001, 7), (1_000_000, 7)]
)
def test_a_tier_begins_one_token_above_its_threshold_and_takes_the_whole_request(
    total: int, rate: int
) -> None:
    assert cost_picos(TIERED, _usage(total=total)) == total * rate


def test_output_is_charged_at_the_tier_of_the_input() -> None:
    assert (
        cost_picos(TIERED, _usage(total=200_001, output=1)) - cost_picos(TIERED, _usage(total=200_001)) == 17
    )


def test_more_cached_tokens_than_input_are_read_as_all_cached() -> None:
    assert cost_picos(FLAT, _usage(total=10, cached=25)) == 10 * 1
    assert cost_picos(FLAT, _usage(total=10, cached=4, written=25)) == 4 * 1 + 6 * 5


def test_negative_numbers_never_pay_the_caller() -> None:
    assert cost_picos(FLAT, _usage(total=-5, cached=-5, written=-5, output=-5)) == 0
    assert cost_picos(FLAT, _usage(total=10, cached=-3, written=-3)) == 10 * 3


@given(rates, usages(), usages())
def test_within_one_tier_costs_add_up(rates: Rates, one: Usage, two: Usage) -> None:
    price = Price("price_any", 0, (Tier(0, rates),))
    both = Usage(
        one.input_tokens + two.input_tokens,
        one.cached_tokens + two.cached_tokens,
        one.cache_write_tokens + two.cache_write_tokens,
        one.output_tokens + two.output_tokens,
        0,
    )

    assert cost_picos(price, both) == cost_picos(price, one) + cost_picos(price, two)


@given(rates, usages(), st.integers(0, 1_000))
def test_within_one_tier_costs_are_linear(rates: Rates, usage: Usage, times: int) -> None:
    price = Price("price_any", 0, (Tier(0, rates),))
    scaled = Usage(
        usage.input_tokens * times,
        usage.cached_tokens * times,
        usage.cache_write_tokens * times,
        usage.output_tokens * times,
        0,
    )

    assert cost_picos(price, scaled) == times * cost_picos(price, usage)


@given(prices(), usages())
def test_no_usage_costs_more_than_the_dearest_rates(price: Price, usage: Usage) -> None:
    most = dearest(price)

    assert cost_picos(price, usage) <= usage.input_tokens * most.input + usage.output_tokens * most.output


@given(prices(), usages(), st.integers(-10, 10), st.integers(-10, 10))
def test_nonsense_from_an_upstream_stays_between_zero_and_the_dearest(
    price: Price, usage: Usage, cached: int, written: int
) -> None:
    broken = Usage(
        usage.input_tokens,
        usage.cached_tokens * cached,
        usage.cache_write_tokens * written,
        usage.output_tokens,
        0,
    )
    most = dearest(price)

    cost = cost_picos(price, broken)

    assert 0 <= cost <= usage.input_tokens * most.input + usage.output_tokens * most.output


@given(prices(), st.integers(0, 10_000_000))
def test_each_boundary_changes_rates_exactly_there(price: Price, total: int) -> None:
    expected = [tier.rates for tier in price.tiers if tier.above_tokens == 0 or total > tier.above_tokens][-1]

    assert rates_at(price, total) == expected
    for tier in price.tiers[1:]:
        assert rates_at(price, tier.above_tokens + 1) == tier.rates
        assert rates_at(price, tier.above_tokens) != tier.rates or tier.rates in _below(price, tier)


def _below(price: Price, tier: Tier) -> list[Rates]:
    return [other.rates for other in price.tiers if other.above_tokens < tier.above_tokens]


def test_the_dearest_input_covers_writing_to_the_cache() -> None:
    assert dearest(TIERED) == Rates(input=13, cached_input=2, cache_write=13, output=17)


# Everything but text.

SPECIAL = Rates(
    input=10, cached_input=2, cache_write=12, output=40, cache_write_1h=20, audio_input=30, cached_audio_input=3,
    audio_output=80, image_input=15, image=1_000, search=2_000, character=3_000, second=4_000,
)  # fmt: skip
RICH = Price("price_rich", 0, (Tier(0, SPECIAL),))


def test_each_special_class_has_its_own_rate() -> None:
    usage = Usage(
        1_000, 100, 50, 200, 0, cache_write_1h_tokens=20, audio_input_tokens=300, cached_audio_tokens=40,
        audio_output_tokens=60, image_input_tokens=70, images=1, searches=2, characters=3, seconds=4,
    )  # fmt: skip

    text = (1_000 - 100 - 50 - 260 - 70) * 10 + 60 * 2 + 30 * 12 + 140 * 40
    special = 20 * 20 + 260 * 30 + 40 * 3 + 60 * 80 + 70 * 15
    assert cost_picos(RICH, usage) == text + special + 1_000 + 2 * 2_000 + 3 * 3_000 + 4 * 4_000


def test_a_class_without_a_rate_costs_what_it_is_a_kind_of_and_units_cost_nothing() -> None:
    usage = Usage(
        1_000, 100, 50, 200, 0, cache_write_1h_tokens=20, audio_input_tokens=300, cached_audio_tokens=40,
        audio_output_tokens=60, image_input_tokens=70, images=1, searches=2, characters=3, seconds=4,
    )  # fmt: skip

    assert cost_picos(FLAT, usage) == cost_picos(FLAT, Usage(1_000, 100, 50, 200, 0))


def test_more_sound_or_pictures_than_input_are_read_as_all_of_it() -> None:
    assert cost_picos(RICH, Usage(10, 4, 0, 0, 0, audio_input_tokens=99)) == 4 * 2 + 6 * 30
    assert (
        cost_picos(RICH, Usage(10, 0, 0, 0, 0, audio_input_tokens=7, image_input_tokens=99))
        == 7 * 30 + 3 * 15
    )
    assert cost_picos(RICH, Usage(10, 0, 3, 5, 0, cache_write_1h_tokens=9, audio_output_tokens=9)) == (
        7 * 10 + 3 * 20 + 5 * 80
    )


def test_a_prompt_without_sound_is_not_held_at_the_price_of_sound() -> None:
    assert dearest(RICH).input == 30
    assert dearest(RICH, has_sound=False).input == 20


any_rate = st.none() | st.integers(0, 200_000_000)
any_rates = st.builds(Rates, *[st.integers(0, 200_000_000)] * 4, *[any_rate] * 9)
wild = st.integers(-(10**9), 10**9)


@given(st.lists(any_rates, min_size=1, max_size=3), st.lists(wild, min_size=14, max_size=14))
def test_no_report_however_wild_costs_less_than_nothing_or_more_than_the_dearest(
    tiers: list[Rates], counts: list[int]
) -> None:
    price = Price("price_any", 0, tuple(Tier(above * 1_000, rates) for above, rates in enumerate(tiers)))
    usage = Usage(*counts)
    most = dearest(price)

    bound = max(0, usage.input_tokens) * most.input + max(0, usage.output_tokens) * most.output
    assert 0 <= cost_picos(price, usage) <= bound + units_picos(most, usage)


def test_the_price_in_force_is_the_newest_that_has_begun() -> None:
    newest, older = Price("price_2", 2_000_000, FLAT.tiers), Price("price_1", 1_000_000, FLAT.tiers)
    model = Model("m", "p", "M", 8, 4, frozenset(), ("text",), ("text",), 0, (newest, older), ())

    assert model.price_at(2_000) is newest
    assert model.price_at(1_999.9) is older
    assert model.price_at(10) is older
