from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from catalog.channels import add_routes
from catalog.models import Channel, LifeCycle, ModelAlias
from catalog.sheet import IsAlias, NotShown, RateRow, Sheet, sheet
from catalog.snapshot import Rates, Tier
from tests.catalog.builders import BuildModel, add_rates, tier

DOLLAR = 1_000_000


def shown(name: str) -> Sheet:
    return sheet(name, at=timezone.now())


def test_every_class_of_rates_is_a_row_and_every_tier_and_hour_a_column(build_model: BuildModel) -> None:
    model = build_model("full")
    full = Rates(
        2 * DOLLAR, DOLLAR // 2, 3 * DOLLAR, 8 * DOLLAR, cache_write_1h=4 * DOLLAR, audio_input=5 * DOLLAR,
        cached_audio_input=DOLLAR, audio_output=9 * DOLLAR, image_input=6 * DOLLAR, image=40_000 * DOLLAR,
        search=10_000 * DOLLAR, character=15 * DOLLAR, second=100 * DOLLAR,
    )  # fmt: skip
    plain = tier(DOLLAR, 2 * DOLLAR).rates
    add_rates(model, Tier(0, full), Tier(200_000, plain), Tier(0, plain, "mon-fri 01:00-04:00"))

    found = shown("full")

    assert found.columns == ("Base", "Above 200,000 input tokens", "Mon-fri 01:00-04:00 UTC")
    assert [(row.name, row.unit, row.amounts[0]) for row in found.rows] == [
        ("Input", "1M tokens", "$2.00"),
        ("Cached input", "1M tokens", "$0.50"),
        ("Cache write", "1M tokens", "$3.00"),
        ("Cache write kept for an hour", "1M tokens", "$4.00"),
        ("Image input", "1M tokens", "$6.00"),
        ("Audio input", "1M tokens", "$5.00"),
        ("Cached audio input", "1M tokens", "$1.00"),
        ("Output", "1M tokens", "$8.00"),
        ("Audio output", "1M tokens", "$9.00"),
        ("Image made", "image", "$0.04"),
        ("Web search", "1,000 searches", "$10.00"),
        ("Text spoken", "1M characters", "$15.00"),
        ("Audio heard", "minute", "$0.006"),
    ]
    assert found.rows[0].amounts == ("$2.00", "$1.00", "$1.00")
    assert found.rows[2].amounts == ("$3.00", "–", "–")


def test_a_model_without_rates_is_free_and_one_rate_needs_no_columns(build_model: BuildModel) -> None:
    add_rates(build_model("free"), tier(0, 0))
    add_rates(build_model("plain"), tier(DOLLAR, 2 * DOLLAR))

    assert (shown("free").rows, shown("free").history[0].words) == ((), "Free")
    assert shown("plain").columns == ()
    assert shown("plain").rows[-1] == RateRow("Output", "1M tokens", ("$2.00",))


def test_prices_are_told_newest_first_those_to_come_included(build_model: BuildModel) -> None:
    model = build_model("one")
    now = timezone.now()
    add_rates(model, tier(2 * DOLLAR, 7 * DOLLAR))
    add_rates(
        model,
        tier(3 * DOLLAR, 8 * DOLLAR),
        tier(6 * DOLLAR, 9 * DOLLAR, 9),
        valid_from=now + timedelta(days=9),
    )

    history = shown("one").history

    assert [price.state for price in history] == ["announced", "now", "past"]
    assert history[0].words == "Input $3.00 · cached $3.00 · output $8.00 · 1 more rate by size or hour"
    assert shown("one").valid_from == history[1].valid_from
    assert sheet("one", at=now + timedelta(days=10)).history[0].state == "now"


def test_other_names_lead_to_the_model_and_unknown_or_hidden_ones_nowhere(build_model: BuildModel) -> None:
    ModelAlias.objects.create(name="other", model=build_model("one"))
    ModelAlias.objects.create(name="secret", model=build_model("hidden", is_listed=False))

    with pytest.raises(IsAlias) as found:
        shown("other")
    assert found.value.model_id == "one"
    for name in ("hidden", "secret", "nobody"):
        with pytest.raises(NotShown):
            shown(name)
    assert shown("one").aliases == ("other",)


def test_a_retired_model_is_still_told_of(build_model: BuildModel) -> None:
    new = build_model("new")
    build_model("old", life_cycle=LifeCycle.RETIRED, replaced_by=new)

    assert shown("old").is_retired
    assert shown("old").model.replaced_by == new
    assert not shown("new").is_retired


def test_its_channels_are_those_that_are_on_in_seven_queries(
    build_model: BuildModel, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    model = build_model("one")
    for name, adapter, is_on in (("a", "openai", True), ("b", "openai", True), ("c", "gemini", False)):
        channel = Channel.objects.create(
            provider=model.provider,
            name=name,
            adapter=adapter,
            base_url="https://x.example",
            is_enabled=is_on,
        )
        add_routes(channel=channel, models=["one"])

    with django_assert_max_num_queries(7):
        found = shown("one")

    assert (found.served_by, found.adapters) == (("Acme",), ("openai",))
