from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalog.models import CatalogModel, Channel, Price, PriceTier, Provider, Route
from fastanchor.pages import models as pages
from tests.catalog.builders import build_model_of, multiply
from tests.pages.markup import faults, words


def catalogue(client: Client, query: str = "") -> str:
    response = client.get(f"/models/{query}")
    assert response.status_code == 200
    return response.content.decode()


def listed(html: str) -> list[str]:
    return re.findall(r'<p class="model-id"><code>([^<]+)</code>', html)


def page(client: Client, model_id: str) -> str:
    return words(client.get(reverse("model", args=[model_id])).content.decode())


def queries_of(client: Client, path: str) -> int:
    """Return how many queries a page issues."""
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


@pytest.fixture
def acme(db: None) -> Provider:
    return Provider.objects.create(slug="acme", name="Acme")


# The catalogue.


@pytest.mark.parametrize(
    "query", ["", "?q=opus&can=vision&sort=output", "?provider=openai&kind=speech&price=0.10"]
)
def test_the_catalogue_is_plain_html_without_faults(client: Client, catalog: None, query: str) -> None:
    assert faults(catalogue(client, query)) == []


def test_filters_narrow_together_and_the_address_is_the_search(client: Client, catalog: None) -> None:
    html = catalogue(
        client, "?q=gpt&provider=openai&kind=chat&can=tools&can=vision&context=1000000&price=3&sort=input"
    )

    assert listed(html)[0] != "gpt-4.1"
    assert {"gpt-4.1", "gpt-4.1-nano"} <= set(listed(html))
    assert "gpt-4o" not in listed(html)
    assert '<option value="input" selected>' in html
    assert '<option value="openai" selected>' in html
    assert html.count(" checked>") == 2
    assert 'value="gpt"' in html


def test_each_filter_can_be_dropped_alone_or_all_at_once(client: Client, catalog: None) -> None:
    html = catalogue(client, "?q=claude&can=tools&can=vision&page=1")

    links = [link.replace("&amp;", "&") for link in re.findall(r'<a class="chip" href="([^"]+)"', html)]
    assert links == ["?can=tools&can=vision", "?q=claude&can=vision", "?q=claude&can=tools"]
    assert '<a class="chips-clear" href="/models/">Clear all</a>' in html


def test_an_empty_result_says_which_filter_to_drop(client: Client, catalog: None) -> None:
    html = words(catalogue(client, "?kind=speech&context=1000000"))

    assert "No model is all of this" in html
    assert re.search(r"Without Speech: \d+ models", html)
    assert re.search(r"Without 1M context or more: \d+ models", html)


def test_an_empty_catalogue_says_that_it_is_empty(client: Client, db: None) -> None:
    assert "No model is on sale yet" in catalogue(client)


@pytest.mark.parametrize(
    "query",
    [
        "?kind=poem&can=fly&context=7&price=free&sort=luck&page=minus",
        "?page=99999999999999999999",
    ],
)
def test_nonsense_in_the_address_is_passed_over(client: Client, catalog: None, query: str) -> None:
    assert listed(catalogue(client, query))


def test_what_is_searched_is_shown_as_text(client: Client, catalog: None) -> None:
    attack = quote('"><script>alert(1)</script>')

    assert "<script>alert" not in catalogue(client, f"?q={attack}&provider={attack}")


def test_no_page_asks_more_of_the_database_with_ten_thousand_models(client: Client, acme: Provider) -> None:
    paths = (
        "/",
        "/models/?q=many",
        "/models/?kind=image",
        "/models/m-3/",
        "/pricing/?q=m-99",
        "/sitemap.xml",
    )
    model = build_model_of(acme, "m", name="Many")
    multiply(model, 9)
    few = {path: queries_of(client, path) for path in paths}
    multiply(build_model_of(acme, "many", name="Many"), 9_989)

    assert {path: queries_of(client, path) for path in paths} == few
    assert max(few.values()) <= 10
    assert len(listed(catalogue(client, "?q=many"))) == pages.PAGE_SIZE


# The page of a model.


@pytest.mark.parametrize(
    "model_id", ["gpt-4o", "deepseek-flash", "together/deepseek-ai/deepseek-v4.1-flash", "whisper-1"]
)
def test_a_model_s_page_is_found_by_its_id_and_has_no_faults(
    client: Client, catalog: None, model_id: str
) -> None:
    response = client.get(f"/models/{model_id}/")

    assert response.status_code == 200
    assert f'<code id="model-id">{model_id}</code>' in response.content.decode()
    assert faults(response.content.decode()) == []


def test_every_id_that_a_model_may_have_has_an_address(client: Client, acme: Provider) -> None:
    for model_id in ("a", "9", "a.b:c/d_e-f", "vendor/model:free", "x//y/"):
        row = CatalogModel.objects.create(
            id=model_id, provider=acme, name="N", upstream_name="n", context_window=1, max_output=1
        )
        price = Price.objects.create(model=row)
        PriceTier.objects.create(price=price, input=1, cached_input=1, cache_write=1, output=1)

        assert client.get(reverse("model", args=[model_id])).status_code == 200, model_id


def test_a_page_tells_prices_context_abilities_names_and_paths(client: Client, catalog: None) -> None:
    gpt = CatalogModel.objects.get(pk="gpt-4o")
    channel = Channel.objects.create(
        provider=gpt.provider, name="main", adapter="openai_responses", base_url="https://x.example"
    )
    Route.objects.create(model=gpt, channel=channel, upstream_model="gpt-4o")

    shown = page(client, "gpt-4o")

    assert "Input per 1M tokens $2.50" in shown
    assert "Web search per 1,000 searches $10.00" in shown
    assert "Context 128K tokens" in shown
    assert "Tools Vision Structured outputs Web search Files Streaming" in shown
    assert "Also called gpt-4o-2024-08-06 gpt-4o-2024-11-20" in shown
    assert "POST /v1/chat/completions POST /v1/completions POST /v1/messages POST /v1/responses" in shown
    assert "Served by OpenAI" in shown


def test_hours_and_tiers_stand_beside_each_other(client: Client, catalog: None) -> None:
    shown = page(client, "deepseek-flash")

    assert "Mon-fri 01:00-04:00 UTC" in shown
    assert "Input per 1M tokens $0.15 $0.30 $0.30" in shown


def test_an_announced_price_is_told_before_it_holds(client: Client, catalog: None) -> None:
    price = Price.objects.create(model_id="gpt-4o", valid_from=timezone.now() + timedelta(days=30))
    PriceTier.objects.create(
        price=price, input=2_000_000, cached_input=1, cache_write=2_000_000, output=8_000_000
    )

    shown = page(client, "gpt-4o")

    assert re.search(r"Announced +Input \$2.00 · cached \$0.000001 · output \$8.00", shown)
    assert "Input per 1M tokens $2.50" in shown


def test_an_alias_leads_to_its_model_and_an_unknown_name_nowhere(client: Client, catalog: None) -> None:
    assert client.get("/models/gpt-4o-2024-08-06/")["Location"] == "/models/gpt-4o/"
    for name in ("gpt-none", "GPT-4o", "../gpt-4o"):
        assert client.get(f"/models/{quote(name)}/").status_code == 404, name


def test_a_model_that_ends_says_when_and_what_to_use_instead(client: Client, catalog: None) -> None:
    ends = timezone.now() + timedelta(days=9)
    rows = CatalogModel.objects.filter(pk="gpt-4o")
    rows.update(life_cycle="deprecated", retires_at=ends, replaced_by="gpt-4.1")

    assert f"OpenAI retires this model on {ends:%Y-%m-%d} . Move to GPT-4.1" in page(client, "gpt-4o")
    rows.update(life_cycle="retired")
    response = client.get("/models/gpt-4o/")
    assert response.status_code == 410
    shown = words(response.content.decode())
    assert "This model is retired and answers no requests any more. Use GPT-4.1 instead" in shown
    assert "Call it" not in shown


def test_a_model_that_no_channel_serves_says_so(client: Client, catalog: None) -> None:
    assert "No channel serves this model at the moment" in page(client, "gpt-4o")


def test_people_without_the_slash_are_led_on_and_programs_without_v1_corrected(
    client: Client, db: None
) -> None:
    assert client.get("/models", headers={"accept": "text/html,*/*"})["Location"] == "/models/"
    told = client.get("/models", headers={"accept": "application/json"})
    assert told.status_code == 404
    assert "Set the base URL to http://testserver/v1" in told.json()["error"]["message"]
