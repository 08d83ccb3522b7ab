"""Loading adds what is new and succeeds what changed; it edits nothing."""

from __future__ import annotations

from collections import Counter
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider as PackageProvider,
    StartDateConstraint,
    Tier as PackageTier,
    TieredPrices,
    TimeOfDateConstraint,
)
from hypothesis import given, strategies as st
from pytest_django import DjangoAssertNumQueries

from catalog.channels import add_channel
from catalog.importing import package_providers, read_package
from catalog.loading import KnownPrice, _in_force, _offered_at, load_offers, load_providers, successors
from catalog.models import (
    Capability,
    CatalogModel,
    Channel,
    Kind,
    Modality,
    ModelAlias,
    Price,
    PriceSource,
    PriceTier,
    Provider,
    Trait,
)
from catalog.offers import (
    DatedTiers,
    InexactPrice,
    Offer,
    ProviderOffer,
    micro_usd,
    read_product,
    read_providers,
)
from catalog.prices import add_price
from catalog.pricing import Usage, cost_picos
from catalog.publish import build_snapshot
from catalog.snapshot import Rates, Tier
from tests.catalog.builders import add_rates, tier

MILLION = 1_000_000
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
# The product page's table: USD per 1M tokens, input and output.
TABLE = {
    "gpt-4o": ("2.50", "10.00"),
    "gpt-4.1": ("2.00", "8.00"),
    "claude-sonnet-4-20250514": ("3.00", "15.00"),
    "claude-haiku-4-20250514": ("0.80", "4.00"),
    "gemini-3.0-pro": ("1.25", "5.00"),
    "deepseek-v4-flash": ("0.20", "0.40"),
    "deepseek-v4-pro": ("0.60", "1.20"),
    "qwen-3.7-max": ("0.10", "0.40"),
}


def _load(*options: str) -> str:
    out = StringIO()
    call_command("load_catalog", *options, stdout=out)
    return out.getvalue()


def _picos(dollars: str) -> int:
    return int(Decimal(dollars) * 10**12)


def test_a_million_tokens_of_each_product_model_cost_exactly_the_table(db: None) -> None:
    _load("--product-only")
    models = build_snapshot().models

    for model_id, (input_usd, output_usd) in TABLE.items():
        price = models[model_id].price_at(timezone.now().timestamp())
        assert cost_picos(price, Usage(MILLION, 0, 0, 0, 0)) == _picos(input_usd), model_id
        assert cost_picos(price, Usage(0, 0, 0, MILLION, MILLION)) == _picos(output_usd), model_id


def test_cached_and_written_input_cost_what_their_providers_publish() -> None:
    rates = {offer.id: offer.prices[0].tiers[0].rates for offer in read_product()}

    assert rates["gpt-4o"].cached_input == 1_250_000
    assert rates["gpt-4.1"].cached_input == 500_000
    assert (
        rates["claude-sonnet-4-20250514"].cached_input,
        rates["claude-sonnet-4-20250514"].cache_write,
    ) == (
        300_000,
        3_750_000,
    )
    assert rates["qwen-3.7-max"].cached_input == rates["qwen-3.7-max"].input


def test_more_than_a_hundred_models_of_many_providers_are_for_sale(db: None) -> None:
    _load()

    assert CatalogModel.objects.count() > 120
    sold = set(CatalogModel.objects.values_list("provider", flat=True))
    assert sold >= {
        "openai",
        "anthropic",
        "google",
        "mistral",
        "xai",
        "groq",
        "together",
        "cohere",
        "moonshot",
    }
    assert len(build_snapshot().listed) == CatalogModel.objects.count()


def test_what_is_loaded_is_written_in_the_words_of_the_tables(db: None) -> None:
    _load()

    for model in CatalogModel.objects.all():
        model.full_clean(exclude=["provider"])
        assert set(model.capabilities) <= set(Capability.values), model
        assert set(model.traits) <= set(Trait.values), model
        assert {*model.input_modalities, *model.output_modalities} <= set(Modality.values), model
    for provider in Provider.objects.all():
        provider.full_clean()
    kinds = Counter(CatalogModel.objects.values_list("kind", flat=True))
    assert kinds.keys() == set(Kind.values)


@pytest.mark.parametrize(
    ("model_id", "traits"),
    [
        ("gpt-5.5-pro", {"responses_only", "no_sampling", "always_reasons"}),
        ("gpt-5-mini", {"no_sampling", "always_reasons"}),
        ("gpt-5.4", {"no_sampling"}),
        ("gpt-4o-mini", set()),
        ("claude-opus-4-5", set()),
        ("claude-opus-4-6", {"no_prefill", "adaptive_thinking"}),
        ("claude-opus-4-7", {"no_prefill", "adaptive_thinking", "no_sampling"}),
        ("claude-opus-5", {"no_prefill", "adaptive_thinking", "no_sampling", "thinks_by_default"}),
        (
            "claude-opus-5-5",
            {"no_prefill", "adaptive_thinking", "no_sampling", "thinks_by_default", "always_reasons"},
        ),
        ("gemini-2.5-pro", {"thinks_by_default", "always_reasons"}),
        ("gemini-2.5-flash-lite", set()),
        ("gemini-3-flash-preview", {"thinking_level", "thinks_by_default"}),
        ("gemini-3.1-pro-preview", {"thinking_level", "thinks_by_default", "always_reasons"}),
        ("deepseek-flash", {"thinks_by_default"}),
    ],
)
def test_traits_follow_what_the_providers_document(model_id: str, traits: set[str]) -> None:
    offers, _ = read_package(package_providers, read_providers(), now=NOW)
    (offer,) = (offer for offer in offers if offer.id == model_id)

    assert set(offer.traits) == traits


def test_loading_twice_adds_nothing(db: None) -> None:
    _load()
    before = (set(Price.objects.values_list("pk")), PriceTier.objects.count(), ModelAlias.objects.count())

    said = _load()

    assert (
        set(Price.objects.values_list("pk")),
        PriceTier.objects.count(),
        ModelAlias.objects.count(),
    ) == before
    assert "genai-prices: 0 models added." in said
    assert "succeeded" not in said


def test_what_is_added_is_named_on_request(db: None) -> None:
    said = _load("-v", "2")

    assert "  gpt-5.1\n" in said
    assert "genai-prices: 1 left out, priced by output_image_mtok.\n  gpt-image-1.5\n" in said


def test_a_load_takes_a_fixed_number_of_queries(
    db: None, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    load_providers(read_providers(), for_development=True)
    offers, _ = read_package(package_providers, read_providers(), now=NOW)
    assert len(offers) > 100

    with django_assert_max_num_queries(20):
        load_offers(offers, source=PriceSource.GENAI_PRICES, now=NOW)


# Prices that change.


def _offer(*prices: DatedTiers, model_id: str = "gpt-9") -> Offer:
    return Offer(
        model_id, "acme", "GPT 9", "gpt-9", 8_000, 1_000, ("streaming",), ("text",), None, (), prices
    )


def _always(*tiers: Tier) -> DatedTiers:
    return DatedTiers(None, tiers)


def test_a_changed_price_gets_a_successor_and_the_old_one_stays(acme: Provider) -> None:
    load_offers([_offer(_always(tier(2, 7)))], source=PriceSource.GENAI_PRICES, now=NOW)
    first = Price.objects.get()

    loaded = load_offers(
        [_offer(_always(tier(3, 8)))], source=PriceSource.GENAI_PRICES, now=NOW + timedelta(1)
    )

    model = build_snapshot().models["gpt-9"]
    assert [price.model_id for price in loaded.succeeded] == ["gpt-9"]
    assert [price.tiers for price in model.prices] == [(tier(3, 8),), (tier(2, 7),)]
    assert model.price_at(NOW.timestamp()).id == first.pk
    assert model.price_at((NOW + timedelta(1)).timestamp()).id == loaded.succeeded[0].pk


def test_a_price_announced_for_later_is_stored_with_its_date_and_only_once(acme: Provider) -> None:
    later = NOW + timedelta(30)
    offers = [_offer(_always(tier(2, 7)), DatedTiers(later, (tier(4, 9),)))]

    load_offers(offers, source=PriceSource.GENAI_PRICES, now=NOW)
    again = load_offers(offers, source=PriceSource.GENAI_PRICES, now=NOW + timedelta(1))

    assert not again.succeeded
    model = build_snapshot().models["gpt-9"]
    assert model.price_at(later.timestamp() - 1).tiers == (tier(2, 7),)
    assert model.price_at(later.timestamp()).tiers == (tier(4, 9),)


def test_a_withdrawn_announcement_is_undone_by_a_successor(acme: Provider) -> None:
    later = NOW + timedelta(30)
    announced = [_offer(_always(tier(2, 7)), DatedTiers(later, (tier(4, 9),)))]
    load_offers(announced, source=PriceSource.GENAI_PRICES, now=NOW)

    load_offers([_offer(_always(tier(2, 7)))], source=PriceSource.GENAI_PRICES, now=NOW)

    assert build_snapshot().models["gpt-9"].price_at(later.timestamp() + 1).tiers == (tier(2, 7),)
    assert Price.objects.count() == 3


def test_a_price_set_by_staff_is_never_succeeded_by_an_import(acme: Provider) -> None:
    load_offers([_offer(_always(tier(2, 7)))], source=PriceSource.GENAI_PRICES, now=timezone.now())
    add_rates(CatalogModel.objects.get(), tier(5, 6))

    loaded = load_offers(
        [_offer(_always(tier(3, 8)))], source=PriceSource.GENAI_PRICES, now=timezone.now() + timedelta(1)
    )

    assert not loaded.succeeded


def test_an_import_never_touches_a_product_model(acme: Provider) -> None:
    load_offers([_offer(_always(tier(2, 7)))], source=PriceSource.PRODUCT, now=NOW)

    loaded = load_offers(
        [_offer(_always(tier(3, 8)))], source=PriceSource.GENAI_PRICES, now=NOW + timedelta(1)
    )

    assert (loaded.models, loaded.succeeded) == ([], [])
    assert Price.objects.get().source == PriceSource.PRODUCT


def test_an_id_that_is_already_an_alias_is_left_out(db: None) -> None:
    _load("--product-only")
    Provider.objects.create(slug="acme", name="Acme")

    loaded = load_offers(
        [_offer(_always(tier(2, 7)), model_id="claude-sonnet-4-0")], source=PriceSource.GENAI_PRICES, now=NOW
    )

    assert loaded.models == []
    assert loaded.skipped[0].reason == "its id is another model's alias"


moments = st.integers(-5, 5).map(lambda days: NOW + timedelta(days=days))
any_tiers = st.integers(1, 3).map(lambda rate: (tier(rate, rate),))


@st.composite
def offered_prices(draw: st.DrawFn) -> list[DatedTiers]:
    later = sorted(draw(st.sets(moments.filter(lambda moment: moment > NOW), max_size=3)))
    return [DatedTiers(None, draw(any_tiers)), *(DatedTiers(moment, draw(any_tiers)) for moment in later)]


@given(st.lists(st.tuples(offered_prices(), st.integers(0, 2)), min_size=1, max_size=4))
def test_after_any_sequence_of_loads_what_is_in_force_is_what_was_offered_last(
    loads: list[tuple[list[DatedTiers], int]],
) -> None:
    known: list[KnownPrice] = []
    now = NOW
    for offered, days in loads:
        now += timedelta(days=days)
        known = sorted(
            [*known, *successors(offered, known, source="import", now=now)],
            key=lambda price: price.valid_from,
        )
        assert len({price.valid_from for price in known}) == len(known)
        assert successors(offered, known, source="import", now=now) == []
        for hours in range(0, 24 * 12, 6):
            moment = now + timedelta(hours=hours, seconds=1)
            in_force = _in_force(known, moment)
            assert in_force is not None
            assert in_force.tiers == _offered_at(offered, moment)


# What the package says and what we make of it.

RULES = [
    ProviderOffer(
        slug="acme",
        name="Acme",
        key_variable="",
        base_url="",
        development_only=False,
        import_rules={
            "source": "acme-source",
            "include": ["x.*"],
            "exclude": ["x-old"],
            "prefix": "acme/",
            "upstream_prefix": "models/",
            "family": [{"match": "x-big", "max_output": 900, "capabilities": ["tools", "vision"]}],
        },
    )
]


def _package(*models: ModelInfo) -> list[PackageProvider]:
    acme = copy(package_providers[0])
    acme.id, acme.models = "acme-source", list(models)
    return [acme]


def _info(name: str, prices: ModelPrice | list[ConditionalPrice], window: int | None = 8_000) -> ModelInfo:
    return ModelInfo(id=name, match=ClauseEquals(name), context_window=window, prices=prices)


def _price(**rates: Decimal | TieredPrices) -> ModelPrice:
    return ModelPrice(**({"input_mtok": Decimal("0.25"), "output_mtok": Decimal(2)} | rates))


def _read(*models: ModelInfo) -> tuple[list[Offer], list[str]]:
    offers, skipped = read_package(_package(*models), RULES, now=NOW)
    return offers, [f"{skip.id}: {skip.reason}" for skip in skipped]


def test_an_imported_model_keeps_the_upstreams_name_beside_ours() -> None:
    (offer,), _ = _read(_info("X-Big", _price()))

    assert (offer.id, offer.upstream_name, offer.max_output) == ("acme/x-big", "models/X-Big", 900)
    assert offer.capabilities == ("streaming", "tools", "vision")
    assert offer.input_modalities == ("text", "image")


def test_kinds_of_input_without_a_rate_cost_the_input_rate() -> None:
    (offer,), _ = _read(_info("x", _price(cache_read_mtok=Decimal("0.0375"))))

    assert offer.prices[0].tiers == (Tier(0, Rates(250_000, 37_500, 250_000, 2_000_000)),)


def test_tiers_of_different_kinds_are_merged() -> None:
    price = _price(
        input_mtok=TieredPrices(Decimal(1), [PackageTier(100, Decimal(2)), PackageTier(300, Decimal(3))]),
        output_mtok=TieredPrices(Decimal(5), [PackageTier(200, Decimal(6))]),
    )

    (offer,), _ = _read(_info("x", price))

    assert [(tier.above_tokens, tier.rates.input, tier.rates.output) for tier in offer.prices[0].tiers] == [
        (0, 1 * MILLION, 5 * MILLION),
        (100, 2 * MILLION, 5 * MILLION),
        (200, 2 * MILLION, 6 * MILLION),
        (300, 3 * MILLION, 6 * MILLION),
    ]


def test_past_and_future_dates_become_the_price_now_and_dated_ones() -> None:
    conditions = [
        ConditionalPrice(None, prices=_price(output_mtok=Decimal(1))),
        ConditionalPrice(
            StartDateConstraint((NOW - timedelta(9)).date()), prices=_price(output_mtok=Decimal(2))
        ),
        ConditionalPrice(
            StartDateConstraint((NOW + timedelta(9)).date()), prices=_price(output_mtok=Decimal(3))
        ),
    ]

    (offer,), _ = _read(_info("x", conditions))

    assert [(price.valid_from, price.tiers[0].rates.output) for price in offer.prices] == [
        (None, 2 * MILLION),
        (datetime(2026, 12, 2, tzinfo=UTC), 3 * MILLION),
    ]


def test_what_cannot_be_sold_exactly_is_left_out_with_the_reason() -> None:
    second = TimeOfDateConstraint(time(1, 0, 30, tzinfo=UTC), time(4, tzinfo=UTC))
    night, late = (TimeOfDateConstraint(time(opens), time(4)) for opens in (1, 3))
    old = _info("x-deprecated", _price())
    old.deprecated = True

    offers, skipped = _read(
        _info("x-free", ModelPrice()),
        _info("x-embed", ModelPrice(input_mtok=Decimal(1))),
        _info("x-fraction", _price(input_mtok=Decimal("0.0000001"))),
        _info("x-second", [ConditionalPrice(prices=_price()), ConditionalPrice(second, prices=_price())]),
        _info("x-night", [ConditionalPrice(each, prices=_price()) for each in (None, night, late)]),
        _info("x-fee", _price(requests_kcount=Decimal(5))),
        _info("x-endless", _price(), window=None),
        _info("x id", _price()),
        _info("x-old", _price()),
        _info("y", _price()),
        old,
    )

    overlap = "its price depends on the time of day: The windows '01:00-04:00' and '03:00-04:00' overlap."
    assert offers == []
    assert skipped == [
        "acme/x-free: no input price",
        "acme/x-embed: no output price",
        "acme/x-fraction: 1E-7 USD is not a whole number of micro-USD",
        "acme/x-second: its price depends on the time of day: not by the minute and in UTC",
        f"acme/x-night: {overlap}",
        "acme/x-fee: priced by requests_kcount",
        "acme/x-endless: context window unknown",
        "acme/x id: its id cannot be used in a URL",
        "acme/x-deprecated: deprecated by its provider",
    ]


@given(st.integers(0, 10**15))
def test_dollars_become_micro_usd_exactly(micros: int) -> None:
    assert micro_usd(Decimal(micros) / 1_000_000) == micros


@pytest.mark.parametrize("dollars", ["0.0000001", "NaN", "Infinity", "-1", f"1.{'0' * 40}1"])
def test_dollars_that_are_no_exact_amount_are_refused(dollars: str) -> None:
    with pytest.raises(InexactPrice):
        micro_usd(Decimal(dollars))


def test_hours_of_the_day_become_windows_of_the_price() -> None:
    night = TimeOfDateConstraint(time(22), time(6))
    conditions = [
        ConditionalPrice(prices=_price()),
        ConditionalPrice(night, prices=_price(output_mtok=Decimal(1))),
    ]
    rules = replace(RULES[0], import_rules={**(RULES[0].import_rules or {}), "window_days": "fri"})

    (offer,), _ = read_package(_package(_info("x", conditions)), [rules], now=NOW)

    assert [(tier.during, tier.rates.output) for tier in offer.prices[0].tiers] == [
        ("", 2 * MILLION),
        ("fri 22:00-06:00", MILLION),
    ]


def test_hours_before_a_condition_that_holds_all_day_never_come() -> None:
    night = TimeOfDateConstraint(time(22), time(6))
    conditions = [
        ConditionalPrice(night, prices=_price(output_mtok=Decimal(1))),
        ConditionalPrice(StartDateConstraint((NOW - timedelta(9)).date()), prices=_price()),
    ]

    (offer,), _ = _read(_info("x", conditions))

    assert [tier.during for tier in offer.prices[0].tiers] == [""]


def test_a_search_is_sold_only_where_its_price_is_known_and_the_model_can_do_it() -> None:
    family = [{"match": "x-able|x-free", "capabilities": ["web_search"]}]
    rules = replace(RULES[0], import_rules={**(RULES[0].import_rules or {}), "family": family})
    search = _price(web_searches_kcount=Decimal(10))
    package = _package(_info("x-able", search), _info("x-free", _price()), _info("x-unable", search))

    offers, _ = read_package(package, [rules], now=NOW)

    assert [(offer.capabilities, offer.prices[0].tiers[0].rates.search) for offer in offers] == [
        (("streaming", "web_search"), 10_000 * MILLION),
        (("streaming",), None),
        (("streaming",), None),
    ]


# Databases of earlier versions.


def _as_an_earlier_version_left_it() -> None:
    """Make what version 0.1 made of Google and one model, with an alias, a price and its channel."""
    google = Provider.objects.create(
        slug="google", name="Google", key_variable="GEMINI_API_KEY", base_url=f"{GOOGLE}/openai"
    )
    for name in ("environment", "by-hand"):
        add_channel(
            channel=Channel(provider=google, name=name, base_url=f"{GOOGLE}/openai"), credential="sk-google-1"
        )
    row = CatalogModel.objects.create(
        id="gemini-2.5-flash",
        provider=google,
        name="Gemini 2.5 Flash",
        upstream_name="gemini-2.5-flash",
        context_window=1_048_576,
        max_output=65_535,
        capabilities=["streaming", "tools", "vision"],
        input_modalities=["text", "image"],
    )
    rates = Rates(300_000, 30_000, 300_000, 2_500_000)
    add_price(price=Price(model=row, source=PriceSource.GENAI_PRICES), tiers=[Tier(0, rates)])


GOOGLE = "https://generativelanguage.googleapis.com/v1beta"


def test_an_older_database_is_brought_up_to_date_and_nothing_stands_twice(db: None) -> None:
    _as_an_earlier_version_left_it()

    said = _load()
    again = _load()

    google = Provider.objects.get(pk="google")
    assert (google.adapter, google.base_url) == ("gemini", GOOGLE)
    channels = {channel.name: (channel.adapter, channel.base_url) for channel in google.channels.all()}
    assert channels == {"environment": ("gemini", GOOGLE), "by-hand": ("openai", f"{GOOGLE}/openai")}
    model = CatalogModel.objects.get(pk="gemini-2.5-flash")
    assert "audio" in model.capabilities
    assert model.traits == ["thinks_by_default"]
    assert model.input_modalities == ["text", "image", "audio", "file"]
    assert model.prices.count() == 1
    assert "genai-prices: 1 models brought up to date." in said
    assert "genai-prices: 1 prices differ and wait for staff." in said
    assert "up to date" not in again


def test_what_staff_has_changed_since_a_load_stays(db: None) -> None:
    _load()
    CatalogModel.objects.filter(pk="gpt-5.1").update(traits=["always_reasons"], max_output=7, name="Old")
    changed = CatalogModel.objects.get(pk="gpt-5.1")
    CatalogModel.objects.filter(pk="gpt-5.1").update(loaded=changed.loaded | {"name": "Old"})
    Provider.objects.filter(pk="openai").update(adapter="openai", base_url="https://eu.example/v1")

    _load()

    model, provider = CatalogModel.objects.get(pk="gpt-5.1"), Provider.objects.get(pk="openai")
    assert (model.traits, model.max_output) == (["always_reasons"], 7)
    assert model.name == changed.loaded["name"]
    assert (provider.adapter, provider.base_url) == ("openai", "https://eu.example/v1")
