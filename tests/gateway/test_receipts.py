"""A receipt adds up to what was charged, whatever ended the request, and says why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from billing.attempts import AttemptMade
from billing.spool import Usage as Entry
from catalog.pricing import Usage, cost_picos
from catalog.snapshot import Price, Rates, Tier
from fastanchor.lib.money import exact_picos, round_picos
from gateway.money_shown import shown_receipt
from gateway.receipts import receipt_of

PRICE = Price("price_1", 1_700_000_000_000, (Tier(0, Rates(2_500, 1_250, 3_125, 10_000)),))


def entry(usage: Usage, **changes: Any) -> Entry:
    """Return the record of a request that started in 2027."""
    picos = changes.pop("cost_picos", cost_picos(PRICE, usage))
    values = {
        "request_id": "req_1", "organization_id": "org_1", "key_id": "key_1", "model_id": "m", "provider_id": "p",
        "channel_id": "c", "price_id": PRICE.id, "started_at_ms": 1_800_000_000_000,
        "finished_at_ms": 1_800_000_001_500, "first_token_ms": -1, "is_stream": False, "outcome": "completed",
        "status": 200, "cost_picos": picos, "cost_nano": round_picos(picos), "hold_nano": 1_000, "is_estimated": False,
        "attempts": 1, "finish_reason": "stop", "error_code": "", "upstream_id": "up_1",
    }  # fmt: skip
    counts = {name: getattr(usage, name) for name in Usage.__struct_fields__}
    return Entry(**(values | counts | changes))


@given(
    st.builds(Usage, *[st.integers(0, 10**7)] * 5),
    st.sampled_from(["completed", "client_left", "upstream_died", "cut", "interrupted", "free", "failed"]),
    st.integers(0, 10**12),
)
def test_lines_and_adjustment_add_up_to_the_cost_however_it_came_about(
    usage: Usage, outcome: str, most: int
) -> None:
    picos = 0 if outcome in {"free", "failed"} else min(cost_picos(PRICE, usage), most)
    told = entry(usage, outcome=outcome, cost_picos=picos, is_estimated=True)

    shown = shown_receipt(receipt_of(told, PRICE))

    adjustment = (shown["adjustment"] or {"cost_pico_usd": 0})["cost_pico_usd"]
    assert sum(line["cost_pico_usd"] for line in shown["lines"]) + adjustment == picos
    assert shown["charged_nano_usd"] == round_picos(shown["cost_pico_usd"])


def test_the_receipt_of_an_own_key_says_what_it_would_have_cost_and_that_it_cost_nothing() -> None:
    own = entry(Usage(1_001, 0, 0, 1, 0), is_own_key=True, cost_picos=0)

    shown = shown_receipt(receipt_of(own, PRICE))

    assert (shown["is_own_key"], shown["charged_nano_usd"], shown["is_charged"]) == (True, 0, False)
    assert shown["adjustment"]["cost_pico_usd"] == -2_512_500
    assert shown["adjustment"]["reason"] == (
        "Not charged by us: your own key was used, and its provider bills you"
    )
    assert shown["why"].startswith("Served over your own key of the provider, which bills you itself.")


def test_a_request_served_as_ordered_needs_no_adjustment() -> None:
    shown = shown_receipt(receipt_of(entry(Usage(1_001, 0, 0, 1, 0)), PRICE))

    assert shown["lines"] == [
        {"kind": "input", "unit": "token", "count": 1_001, "rate": "0.0000000025", "rate_pico_usd": 2_500,
         "cost": "0.0000025025", "cost_pico_usd": 2_502_500},
        {"kind": "output", "unit": "token", "count": 1, "rate": "0.00000001", "rate_pico_usd": 10_000,
         "cost": "0.00000001", "cost_pico_usd": 10_000},
    ]  # fmt: skip
    assert shown["adjustment"] is None
    # 2,512.5 nano-USD: half to even.
    assert (shown["cost_pico_usd"], shown["charged_nano_usd"]) == (2_512_500, 2_512)
    assert shown["price"]["valid_from"] == "2023-11-14T22:13:20.000Z"
    assert (shown["started_at"], shown["finished_at"]) == (
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:01.500Z",
    )
    assert shown["duration_ms"] == 1_500


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"outcome": "free", "cost_picos": 0}, "Not charged", "so nothing was charged"),
        ({"outcome": "cut", "cost_picos": 1_000_000}, "Limited to what was held", "credit ran out"),
        ({"outcome": "client_left", "cost_picos": 1_000_000}, "Limited to what was held", "You hung up"),
        ({"outcome": "interrupted", "cost_picos": 9_000_000}, "Brought to the last", "Our process ended"),
    ],
)
def test_what_is_not_charged_by_its_lines_says_why(changes: dict[str, Any], reason: str, words: str) -> None:
    receipt = receipt_of(entry(Usage(1_000, 0, 0, 0, 0), is_estimated=True, **changes), PRICE)

    assert receipt.adjustment is not None
    assert receipt.adjustment.reason.startswith(reason)
    assert words in receipt.why
    assert ("estimated" in receipt.why) == receipt.is_charged


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outcome": "failed", "status": 500, "error_code": "upstream_error"}, "No provider served this request"),
        ({"outcome": "failed", "status": 400, "error_code": "invalid_request"}, "refused the request as it was asked"),
        ({"outcome": "client_left", "status": 499}, "You hung up before any provider had answered"),
    ],
)  # fmt: skip
def test_what_no_upstream_served_has_no_lines_and_says_why_it_is_free(
    changes: dict[str, Any], words: str
) -> None:
    tried = (AttemptMade("openai", "chan_1", 0, "unreachable", 7),)
    shown = shown_receipt(
        receipt_of(entry(Usage(0, 0, 0, 0, 0), cost_picos=0, attempts_made=tried, **changes), PRICE)
    )

    assert (shown["lines"], shown["adjustment"], shown["is_charged"]) == ([], None, False)
    assert words in shown["why"]
    assert "so nothing was charged" in shown["why"]
    assert shown["attempts_made"] == [
        {
            "model": "m",
            "provider": "openai",
            "status": None,
            "error_code": "unreachable",
            "duration_ms": 7,
        }
    ]


def test_a_price_that_is_gone_leaves_the_cost_as_it_was_charged() -> None:
    receipt = receipt_of(entry(Usage(4, 0, 0, 0, 0)), None)

    assert receipt.adjustment is not None
    assert receipt.adjustment.picos == receipt.entry.cost_picos == 10_000


@pytest.mark.parametrize(
    ("picos", "written"),
    [(0, "0.0"), (1, "0.000000000001"), (-2_060_000_000, "-0.00206"), (25 * 10**11, "2.5")],
)
def test_pico_dollars_are_written_with_all_their_places(picos: int, written: str) -> None:
    assert exact_picos(picos) == written
