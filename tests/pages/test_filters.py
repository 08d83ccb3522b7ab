from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from fastanchor.templatetags import fa


def test_money_in_short_keeps_the_exact_amount_as_tool_tip() -> None:
    assert fa.usd(4_999_999_999) == '<span class="money" title="$4.999999999">$4.99</span>'


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (500_000_000, "$0.50"),
        (10_000_000, "$0.01"),
        (1_250_000, "$0.0012"),
        (750, "$0.00000075"),
        (0, "$0.00"),
    ],
)
def test_whole_cents_are_written_as_people_do(nanos: int, text: str) -> None:
    assert f">{text}<" in fa.usd(nanos)


def test_exact_money_shows_all_nine_places() -> None:
    assert fa.usd_exact(347_500) == '<span class="money">$0.000347<span class="money-rest">500</span></span>'


@pytest.mark.parametrize(("nanos", "text"), [(1_500, "+$0.000001"), (-1_500, "-$0.000001"), (0, "$0.000000")])
def test_a_change_shows_its_sign(nanos: int, text: str) -> None:
    assert f'<span class="money">{text}<' in fa.usd_change(nanos)


def test_cents_are_written_as_dollars() -> None:
    assert [fa.cents(each) for each in (7, 500, 1_234, 1_000_000)] == [
        "$0.07",
        "$5.00",
        "$12.34",
        "$10,000.00",
    ]


def test_the_sign_stands_before_the_currency() -> None:
    assert fa.plain_usd(-750) == "-$0.000000750"


@pytest.mark.parametrize(("micros", "text"), [(2_500_000, "$2.50"), (37_500, "$0.0375"), (0, "$0.00")])
def test_rates_are_written_exactly(micros: int, text: str) -> None:
    assert fa.rate(micros) == f'<span class="money">{text}</span>'


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (1_000, "1\u202f000"), (1_234_567, "1\u202f234\u202f567")]
)
def test_counts_are_grouped_by_narrow_spaces(number: int, text: str) -> None:
    assert fa.count(number) == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [(999, "999"), (128_000, "128K"), (1_000_000, "1M"), (1_047_576, "1.04M"), (10_000_000, "10M")],
)
def test_context_windows_are_cut_and_never_rounded_up(tokens: int, text: str) -> None:
    assert fa.size(tokens) == text


def test_a_moment_is_written_in_utc_whatever_its_zone() -> None:
    at = datetime(2026, 3, 1, 0, 30, 5, tzinfo=timezone(timedelta(hours=2)))

    assert fa.moment(at) == (
        '<time datetime="2026-02-28T22:30:05+00:00" title="2026-02-28 22:30:05 UTC"'
        ' data-form="%Y-%m-%d %H:%M">2026-02-28 22:30</time>'
    )
    assert ">22:30:05<" in fa.clock(at)


@pytest.mark.parametrize(
    ("millis", "text"), [(-5, "0 ms"), (840, "840 ms"), (3_299, "3.2 s"), (245_000, "4 min 05 s")]
)
def test_durations_are_cut_to_what_people_read(millis: int, text: str) -> None:
    assert fa.span(timedelta(milliseconds=millis)) == text


def test_no_moment_is_never_past() -> None:
    assert not fa.is_past(None)
    assert fa.is_past(datetime.now(UTC))
    assert not fa.is_past(datetime.now(UTC) + timedelta(minutes=1))
