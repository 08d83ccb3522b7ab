from __future__ import annotations

import re

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Organization, User
from catalog.listing import on_sale
from fastanchor.pages.site import PAGE_SIZE
from tests.pages.markup import faults, words

PRODUCT = {
    "gpt-4o": ("$2.50", "$10.00"),
    "gpt-4.1": ("$2.00", "$8.00"),
    "claude-sonnet-4-20250514": ("$3.00", "$15.00"),
    "claude-haiku-4-20250514": ("$0.80", "$4.00"),
    "gemini-3.0-pro": ("$1.25", "$5.00"),
    "deepseek-v4-flash": ("$0.20", "$0.40"),
    "deepseek-v4-pro": ("$0.60", "$1.20"),
    "qwen-3.7-max": ("$0.10", "$0.40"),
}


def price_rows(html: str) -> dict[str, list[str]]:
    """Return the dollar amounts of each row of a price table, by model."""
    found = re.findall(r'<code class="model-id">([^<]+)</code>(.*?)</tr>', html, re.DOTALL)
    return {name: re.findall(r">(\$[\d.]+)<", cells) for name, cells in found}


@pytest.mark.parametrize("name", ["home", "pricing"])
def test_public_pages_are_plain_html_under_a_policy(client: Client, catalog: None, name: str) -> None:
    response = client.get(reverse(name))

    assert response.status_code == 200
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert faults(response.content.decode()) == []


def test_the_product_s_models_are_shown_with_their_prices(client: Client, catalog: None) -> None:
    rows = price_rows(client.get(reverse("home")).content.decode())

    assert {model: (rows[model][0], rows[model][2]) for model in PRODUCT} == PRODUCT


def test_the_pages_of_the_price_list_hold_every_model_once(client: Client, catalog: None) -> None:
    pages = [client.get(reverse("pricing"), {"page": number}).content.decode() for number in range(1, 5)]
    rows = [row for page in pages for row in price_rows(page).items()]

    assert sorted(name for name, _ in rows) == sorted(on_sale().values_list("pk", flat=True))
    assert {name: (cells[0], cells[2]) for name, cells in rows if name in PRODUCT} == PRODUCT


def test_the_price_list_is_narrowed_to_one_provider(client: Client, catalog: None) -> None:
    names = price_rows(client.get(reverse("pricing"), {"provider": "openai"}).content.decode())
    unknown = price_rows(client.get(reverse("pricing"), {"provider": "nobody"}).content.decode())

    assert set(names) == set(on_sale().filter(provider="openai").values_list("pk", flat=True))
    assert len(unknown) == PAGE_SIZE


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("tts-1-hd", "tts-1-hd Speech – – – – $30.00 per 1M characters"),
        ("whisper-1", "whisper-1 Transcription – – – – $0.006 per minute of audio"),
        ("omni-moderation", "omni-moderation-latest Moderation – Free"),
        ("text-embedding-3-small", "text-embedding-3-small Embedding 8K $0.02 $0.02 $0.00"),
        ("deepseek-flash", "deepseek-flash mon-fri 01:00-04:00 UTC $0.30 $0.006 $1.20"),
        ("gemini-2.5-flash-lite", "audio input $0.30 per 1M tokens · cached audio input $0.03 per 1M tokens"),
        ("claude-opus-5-5", "cache write for an hour $8.00 per 1M tokens · $10.00 per 1,000 web searches"),
    ],
)
def test_whatever_is_no_plain_token_can_be_read_too(
    client: Client, catalog: None, query: str, shown: str
) -> None:
    html = client.get(reverse("pricing"), {"q": query}).content.decode()

    assert shown in words(html)
    assert faults(html) == []


@pytest.mark.parametrize("name", ["home", "pricing"])
def test_public_pages_cost_few_queries_however_many_models(
    client: Client, catalog: None, name: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(6):
        client.get(reverse(name))


def test_the_home_page_stands_without_any_model(client: Client, db: None) -> None:
    html = client.get(reverse("home")).content.decode()

    assert "Today’s prices" not in html
    assert faults(html) == []


def test_a_search_narrows_the_price_list_by_every_word(client: Client, catalog: None) -> None:
    response = client.get(reverse("pricing"), {"q": "anthropic HAIKU-4-2025"})

    assert list(price_rows(response.content.decode())) == ["claude-haiku-4-20250514"]


def test_a_search_is_shown_as_text_and_never_as_markup(client: Client, db: None) -> None:
    html = client.get(reverse("pricing"), {"q": '"><script>alert(1)</script>'}).content.decode()

    assert "<script>alert" not in html
    assert "No model matches" in html


def test_plans_are_shown_with_the_limits_in_force(client: Client, organization: Organization) -> None:
    organization.plan.requests_per_minute = 7
    organization.plan.save(update_fields=["requests_per_minute"])

    assert "7 requests and 10\u202f000 tokens a minute" in client.get(reverse("pricing")).content.decode()


def test_a_page_that_is_not_there_says_so_in_plain_words(client: Client, db: None) -> None:
    response = client.get("/nothing-here/")

    assert response.status_code == 404
    assert "There is no page here" in response.content.decode()
    assert faults(response.content.decode()) == []


def test_a_form_without_its_token_is_explained(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)

    response = strict.post(reverse("account_login"), {"login": "x", "password": "y"})

    assert response.status_code == 403
    assert "Please send the form again" in response.content.decode()


def test_a_fault_of_ours_is_explained_without_a_database() -> None:
    html = render_to_string("500.html")

    assert "The mistake is ours" in html
    assert faults(html) == []


@pytest.mark.parametrize("path", ["/", "/dashboard/", "/accounts/login/"])
def test_every_page_can_be_reached_past_its_navigation(browser: Client, path: str) -> None:
    html = browser.get(path, follow=True).content.decode()

    assert html.index('href="#main"') < html.index("<header")
    assert 'id="main"' in html


def test_staff_find_the_administration_and_others_do_not(browser: Client, ada: User) -> None:
    assert reverse("admin:index") not in browser.get("/").content.decode()

    ada.is_staff = ada.is_superuser = True
    ada.save(update_fields=["is_staff", "is_superuser"])

    assert reverse("admin:index") in browser.get("/").content.decode()
    assert browser.get(reverse("admin:index")).status_code == 200


def test_models_are_in_the_order_of_their_names_and_found_by_their_kind(
    client: Client, catalog: None
) -> None:
    of_openai = price_rows(client.get(reverse("pricing"), {"q": "openai"}).content.decode())
    speaking = client.get(reverse("pricing"), {"q": "speech"}).content.decode()

    names = [name for name in of_openai if "/" not in name]
    assert names == sorted(names)
    assert "tts-1" in price_rows(speaking)
