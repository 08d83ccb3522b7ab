"""How a model is shown: prices exact, by the piece or by the million, at every hour."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from catalog.publish import priced
from catalog.snapshot import Model, Rates, Tier
from gateway.shown import shown

PEAK = datetime(2026, 11, 23, 2, tzinfo=UTC).timestamp()
QUIET = datetime(2026, 11, 22, 2, tzinfo=UTC).timestamp()


def _price(*tiers: Tier, at: float = QUIET) -> dict[str, Any]:
    model = Model(
        "m", "acme", "M", 8, 4, frozenset(), ("text",), ("text",), 0, (priced("price_1", 0, tiers),), ()
    )
    return dict(shown(model, at=at, for_anthropic=False)["price"])


def test_a_length_that_is_not_known_is_nothing_rather_than_zero() -> None:
    prices = (priced("price_1", 0, (Tier(0, Rates(0, 0, 0, 0)),)),)
    model = Model("m", "acme", "M", 0, 0, frozenset(), ("text",), ("image",), 0, prices, ())

    told = shown(model, at=QUIET, for_anthropic=True)

    names = ("context_window", "max_input_tokens", "max_output_tokens", "max_tokens")
    assert [told[name] for name in names] == [None] * 4


def test_tokens_are_priced_by_the_million_and_pieces_by_the_piece() -> None:
    rates = Rates(
        0, 0, 0, 37_500, search=14_000_000_000, character=15_000_000, second=100_000_000, image=40_000_000_000
    )

    price = _price(Tier(0, rates))

    assert price == {
        "id": "price_1",
        "currency": "USD",
        "input": "0.00",
        "cached_input": "0.00",
        "cache_write": "0.00",
        "output": "0.0375",
        "image": "0.04",
        "search": "0.014",
        "character": "0.000015",
        "second": "0.0001",
        "tiers": [],
        "windows": [],
    }


def test_tiers_and_windows_are_named_and_the_price_is_that_of_now() -> None:
    usual, long, peak = (Rates(rate, rate, rate, rate) for rate in (1_000_000, 2_000_000, 3_000_000))
    tiers = (Tier(0, usual), Tier(0, peak, "mon-fri 01:00-04:00"), Tier(200, long))

    quiet, busy = _price(*tiers, at=QUIET), _price(*tiers, at=PEAK)

    assert (quiet["input"], busy["input"]) == ("1.00", "3.00")
    assert [(tier["above_input_tokens"], tier["output"]) for tier in quiet["tiers"]] == [(200, "2.00")]
    assert busy["tiers"] == []
    assert quiet["windows"] == busy["windows"]
    assert [(window["during"], window["input"]) for window in quiet["windows"]] == [
        ("otherwise", "1.00"),
        ("mon-fri 01:00-04:00", "3.00"),
    ]
