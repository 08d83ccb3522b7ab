"""The snapshot holds what can be sold and reached, and every change is announced."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from catalog.channels import add_channel, disable_channel
from catalog.listing import extras_of, listed, on_sale, rate_usd
from catalog.models import CatalogModel, Channel, LifeCycle, ModelAlias, Provider
from catalog.publish import announce_catalog, build_snapshot
from catalog.snapshot import Rates
from fastanchor.lib.valkey import sync_client
from tests.catalog.builders import BuildModel, add_rates, tier

COUNTER = "fa:changes:catalog"


def _channel(provider: Provider, name: str, *, weight: int = 1, priority: int = 10) -> Channel:
    wanted = Channel(
        provider=provider, base_url="https://acme.example/v1", name=name, weight=weight, priority=priority
    )
    return add_channel(channel=wanted, credential=f"sk-{name}-0123456789")


def _announced() -> int:
    return int(sync_client().get(COUNTER) or 0)


def test_a_snapshot_of_two_hundred_models_takes_eight_queries(
    acme: Provider, build_model: BuildModel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(200):
        model = build_model(f"model-{number}")
        ModelAlias.objects.create(name=f"alias-{number}", model=model)
    for name in ("east", "west"):
        _channel(acme, name)

    with django_assert_num_queries(8):
        snapshot = build_snapshot()

    assert len(snapshot.models) == 400
    assert all(len(model.routes) == 2 and len(model.prices) == 1 for model in snapshot.listed)


def test_a_model_is_found_by_id_and_by_alias(build_model: BuildModel) -> None:
    ModelAlias.objects.create(name="uno", model=build_model("one", capabilities=["tools"]))

    models = build_snapshot().models

    assert models["uno"] is models["one"]
    assert (models["one"].name, models["one"].max_output) == ("One", 1_000)
    assert models["one"].capabilities == {"tools"}


def test_an_id_counts_before_an_alias_of_the_same_name(build_model: BuildModel) -> None:
    build_model("two")
    ModelAlias.objects.create(name="two", model=build_model("one"))

    assert build_snapshot().models["two"].id == "two"


def test_what_is_not_for_sale_is_left_out(acme: Provider, build_model: BuildModel) -> None:
    build_model("retired", life_cycle=LifeCycle.RETIRED)
    build_model("deprecated", life_cycle=LifeCycle.DEPRECATED)
    build_model("unlisted", is_listed=False)
    CatalogModel.objects.create(
        id="priceless", provider=acme, name="x", upstream_name="x", context_window=1, max_output=1
    )

    snapshot = build_snapshot()

    assert set(snapshot.models) == {"deprecated", "unlisted"}
    assert [model.id for model in snapshot.listed] == ["deprecated"]


def test_prices_are_newest_first_with_ascending_tiers(build_model: BuildModel) -> None:
    model = build_model("one")
    newest = add_rates(model, tier(9, 9, above=500), tier(3, 8), tier(5, 8, above=100))

    prices = build_snapshot().models["one"].prices

    assert prices[0].id == newest.pk
    assert [tier.above_tokens for tier in prices[0].tiers] == [0, 100, 500]
    assert prices[1].tiers == (tier(2, 7),)


def test_routes_stand_in_the_order_of_priority_then_weight(acme: Provider, build_model: BuildModel) -> None:
    build_model("one")
    _channel(acme, "last", priority=20, weight=9)
    _channel(acme, "light", priority=5, weight=1)
    _channel(acme, "heavy", priority=5, weight=3)

    routes = build_snapshot().models["one"].routes

    assert [route.channel.name for route in routes] == ["heavy", "light", "last"]
    assert routes[0].channel.api_key == "sk-heavy-0123456789"
    assert routes[0].upstream_model == "upstream-one"
    assert "0123456789" not in repr(build_snapshot())


def test_a_credential_that_does_not_open_costs_only_its_own_channel(
    acme: Provider, build_model: BuildModel, caplog: pytest.LogCaptureFixture
) -> None:
    build_model("one")
    broken, _ = _channel(acme, "broken"), _channel(acme, "fine")
    # The credential of another channel: only the associated data tells.
    broken.credentials.update(sealed=Channel.objects.get(name="fine").credentials.get().sealed)

    with caplog.at_level(logging.ERROR, "catalog"):
        routes = build_snapshot().models["one"].routes

    assert [route.channel.name for route in routes] == ["fine"]
    assert [record.__dict__["channel"] for record in caplog.records] == [broken.id]


def test_a_disabled_channel_is_left_out(acme: Provider, build_model: BuildModel) -> None:
    build_model("one")
    disable_channel(channel=_channel(acme, "east"), reason="maintenance")

    assert build_snapshot().models["one"].routes == ()


def test_production_never_allows_private_addresses(
    acme: Provider, build_model: BuildModel, settings: Settings
) -> None:
    build_model("one")
    _channel(acme, "east")
    Channel.objects.update(allow_private=True)

    assert build_snapshot().models["one"].routes[0].channel.allow_private
    settings.IS_PRODUCTION = True
    assert not build_snapshot().models["one"].routes[0].channel.allow_private


# Announcing.


def test_an_announcement_waits_for_the_commit(
    db: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        announce_catalog()
        before = _announced()

    assert (before, _announced()) == (0, 1)


def test_nothing_is_announced_when_the_change_is_rolled_back(
    db: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    @transaction.atomic
    def change_and_fail() -> None:
        announce_catalog()
        raise OSError("disk full")

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(OSError, match="disk full"):
        change_and_fail()

    assert _announced() == 0


def test_every_way_to_change_the_catalog_announces(
    acme: Provider,
    build_model: BuildModel,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def grows_by(change: object) -> bool:
        before = _announced()
        with django_capture_on_commit_callbacks(execute=True):
            assert callable(change)
            change()
        return _announced() > before

    model = build_model("one")
    channel = _channel(acme, "east")
    assert grows_by(lambda: _channel(acme, "west"))
    assert grows_by(lambda: disable_channel(channel=channel, reason="x"))
    assert grows_by(lambda: add_rates(model, tier(3, 8)))
    assert grows_by(lambda: call_command("load_catalog", "--product-only", verbosity=0))
    assert not grows_by(lambda: call_command("load_catalog", "--product-only", verbosity=0))


def test_a_lost_valkey_does_not_undo_the_change(
    acme: Provider,
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    sync_client.cache_clear()
    try:
        with django_capture_on_commit_callbacks(execute=True):
            channel = _channel(acme, "east")
    finally:
        sync_client.cache_clear()

    assert Channel.objects.filter(pk=channel.pk).exists()
    assert "on_commit" in caplog.text


# The price list.


def test_the_price_list_shows_the_price_at_the_moment_in_three_queries(
    build_model: BuildModel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    model = build_model("one", capabilities=["tools"])
    build_model("unlisted", is_listed=False)
    build_model("retired", life_cycle=LifeCycle.RETIRED)
    tomorrow = timezone.now() + timedelta(days=1)
    add_rates(model, tier(3, 8), tier(6, 9, above=100), valid_from=tomorrow)

    with django_assert_num_queries(3):
        (now,) = listed(on_sale(), at=timezone.now())
    (later,) = listed(on_sale(), at=tomorrow)

    assert (now.id, now.provider, now.rates, now.tiers) == ("one", "Acme", tier(2, 7).rates, ())
    assert (later.rates, later.tiers) == (tier(3, 8).rates, (tier(6, 9, above=100),))


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "$0.00"), (2_500_000, "$2.50"), (37_500, "$0.0375"), (1, "$0.000001"), (1_234_000_000, "$1,234.00")],
)
def test_rates_are_written_exactly(micros: int, text: str) -> None:
    assert rate_usd(micros) == text


def test_what_is_priced_apart_is_said_in_words_and_exactly() -> None:
    rates = Rates(
        3_000_000, 300_000, 3_750_000, 15_000_000, cache_write_1h=6_000_000, search=10_000_000_000,
        character=15_000_000, second=75_000_001, image=40_000_000_000,
    )  # fmt: skip

    assert extras_of(rates) == (
        "cache write $3.75 per 1M tokens",
        "cache write for an hour $6.00 per 1M tokens",
        "$0.04 per image",
        "$10.00 per 1,000 web searches",
        "$15.00 per 1M characters",
        "$0.00450000006 per minute of audio",
    )
    assert extras_of(tier(2, 7).rates) == ()


def test_a_price_begins_with_the_first_millisecond_after_its_moment_and_not_with_its_second(
    build_model: BuildModel,
) -> None:
    model = build_model("one")
    begins = (timezone.now() + timedelta(days=1)).replace(microsecond=700_001)
    add_rates(model, tier(5, 6), valid_from=begins)

    sold = build_snapshot().models["one"]

    second = int(begins.timestamp())
    assert sold.price_at(second + 0.7).tiers == (tier(2, 7),)
    assert sold.price_at(second + 0.701).tiers == (tier(5, 6),)
