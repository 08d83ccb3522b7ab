from __future__ import annotations

import pytest

from fastanchor.lib.money import NotDollars, parse_cents, parse_nanos


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("12.34", 1_234), ("12", 1_200), ("12.3", 1_230), ("0.07", 7), ("$5", 500), (" $ 5.00 ", 500),
        ("1,234.56", 123_456), ("10000", 1_000_000), ("0.29", 29), ("999999999.99", 99_999_999_999),
    ],
)  # fmt: skip
def test_dollars_become_the_cents_they_say(text: str, cents: int) -> None:
    assert parse_cents(text) == cents


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        ".5",
        "5.",
        "1.234",
        "12,34",
        "1,23.45",
        "1e3",
        "-5",
        "+5",
        "NaN",
        "inf",
        "0x10",
        "١٢",
        "5 5",
        "9" * 10,
    ],
)
def test_whatever_else_is_no_amount(text: str) -> None:
    with pytest.raises(NotDollars):
        parse_cents(text)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("0.000000001", 1), ("12.34", 12_340_000_000), ("$1,000", 1_000_000_000_000), ("0.5", 500_000_000)],
)
def test_dollars_become_the_nanos_they_say(text: str, nanos: int) -> None:
    assert parse_nanos(text) == nanos


@pytest.mark.parametrize("text", ["0.0000000001", "1e-9", "-1", ""])
def test_nothing_finer_than_a_nano_is_an_amount(text: str) -> None:
    with pytest.raises(NotDollars):
        parse_nanos(text)
