from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from catalog.models import CatalogModel, Kind, LifeCycle, ModelAlias, Provider
from catalog.search import Search, facets, find, found_without
from catalog.snapshot import Rates, Tier
from tests.catalog.builders import BuildModel, add_rates, build_model_of, multiply, tier

DOLLAR = 1_000_000


@pytest.fixture
def three(build_model: BuildModel) -> None:
    """Make three models of two providers."""
    other = Provider.objects.create(slug="other", name="Other Works")
    cheap = build_model("cheap-chat", name="Zebra", capabilities=["tools"], context_window=32_000)
    add_rates(cheap, tier(DOLLAR // 10, DOLLAR))
    wide = build_model("wide-chat", name="apple", capabilities=["tools", "vision"], context_window=1_000_000)
    add_rates(wide, tier(3 * DOLLAR, 2 * DOLLAR))
    ModelAlias.objects.create(name="wide-latest", model=wide)
    speaker = build_model_of(other, "speaker", name="Mouth", kind=Kind.SPEECH, context_window=0)
    add_rates(speaker, Tier(0, Rates(0, 0, 0, 0, character=15 * DOLLAR)))


def ids(search: Search, at: datetime | None = None) -> list[str]:
    return [model.pk for model in find(search, at=at or timezone.now())]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(), ["wide-chat", "speaker", "cheap-chat"]),
        (Search(words="ZEB acme"), ["cheap-chat"]),
        (Search(words="other"), ["speaker"]),
        (Search(words="wide-latest"), ["wide-chat"]),
        (Search(words="100%"), []),
        (Search(provider="acme"), ["wide-chat", "cheap-chat"]),
        (Search(kind="speech"), ["speaker"]),
        (Search(abilities=("tools", "vision")), ["wide-chat"]),
        (Search(least_context=32_000), ["wide-chat", "cheap-chat"]),
        (Search(most_input=DOLLAR), ["cheap-chat"]),
        (Search(sort="input"), ["cheap-chat", "wide-chat", "speaker"]),
        (Search(sort="output"), ["cheap-chat", "wide-chat", "speaker"]),
        (Search(sort="context"), ["wide-chat", "cheap-chat", "speaker"]),
        (Search(sort="newest"), ["speaker", "wide-chat", "cheap-chat"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else str(value.conditions().keys()) + value.sort,
)
def test_a_search_finds_what_it_names_in_its_order(three: None, search: Search, found: list[str]) -> None:
    assert ids(search) == found


def test_what_is_retired_unlisted_or_without_a_price_is_not_found(
    build_model: BuildModel, acme: Provider
) -> None:
    build_model("retired", life_cycle=LifeCycle.RETIRED)
    build_model("hidden", is_listed=False)
    CatalogModel.objects.create(
        id="no-price", provider=acme, name="No", upstream_name="n", context_window=1, max_output=1
    )

    assert ids(Search()) == []
    assert facets().count == 0


def test_the_price_that_counts_is_the_one_in_force_at_the_moment(build_model: BuildModel) -> None:
    model = build_model("one")
    tomorrow = timezone.now() + timedelta(days=1)
    add_rates(model, tier(9 * DOLLAR, 9 * DOLLAR), tier(DOLLAR, DOLLAR, above=100), valid_from=tomorrow)

    assert ids(Search(most_input=DOLLAR)) == ["one"]
    assert ids(Search(most_input=DOLLAR), tomorrow) == []
    assert ids(Search(most_input=DOLLAR), timezone.now() - timedelta(days=400)) == ["one"]


def test_a_search_without_success_tells_which_part_is_to_blame(three: None) -> None:
    search = Search(words="apple", kind="chat", least_context=2_000_000)

    assert ids(search) == []
    assert found_without(search, at=timezone.now()) == {"least_context": 1}
    assert found_without(Search(words="nothing", provider="nobody"), at=timezone.now()) == {}


def test_facets_count_what_is_on_sale(three: None) -> None:
    known = facets()

    assert known.providers == (("acme", "Acme", 2), ("other", "Other Works", 1))
    assert (known.count, known.kinds["chat"], known.kinds["speech"]) == (3, 2, 1)
    assert (known.abilities["tools"], known.abilities["vision"], known.abilities["audio"]) == (2, 1, 0)


def test_ten_thousand_models_cost_no_more_queries_than_ten(
    build_model: BuildModel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    multiply(build_model("m", name="Many"), 9_999)

    with django_assert_num_queries(4):
        assert facets().count == 10_000
        assert find(Search(words="MANY m-9999", sort="output"), at=timezone.now())[0].pk == "m-9999"
        assert found_without(Search(words="m-9", kind="image"), at=timezone.now()) == {"kind": 1111}
