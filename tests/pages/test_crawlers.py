from __future__ import annotations

import re

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from tests.pages.markup import words


def test_the_sitemap_lists_every_public_page_and_each_of_them_answers(client: Client, catalog: None) -> None:
    response = client.get("/sitemap.xml")

    addresses = re.findall(r"<loc>http://testserver([^<]+)</loc>", response.content.decode())
    assert response["Content-Type"].startswith("application/xml")
    assert {"/", "/models/", "/models/gpt-4o/", "/pricing/", "/legal/terms/"} <= set(addresses)
    assert len(addresses) > 200
    places = [address for address in addresses if not address.startswith("/models/")]
    for address in [*places, *addresses[-3:]]:
        assert client.get(address).status_code == 200, address


def test_robots_are_kept_from_what_is_private_and_led_to_the_sitemap(client: Client) -> None:
    text = client.get("/robots.txt").content.decode()

    assert "Disallow: /dashboard/\n" in text
    assert "Sitemap: http://testserver/sitemap.xml\n" in text
    assert "Disallow: /models" not in text


def test_the_icon_that_browsers_ask_for_is_there(client: Client) -> None:
    path = client.get("/favicon.ico")["Location"]

    assert path == "/static/img/favicon.ico"
    assert finders.find("img/favicon.ico")
    assert finders.find("img/card.png")


@pytest.mark.parametrize("path", ["/", "/models/", "/models/gpt-4o/", "/pricing/", "/legal/terms/"])
def test_every_public_page_says_what_it_is_and_where(client: Client, catalog: None, path: str) -> None:
    html = client.get(f"{path}?utm=x").content.decode()

    assert f'<link rel="canonical" href="http://testserver{path}">' in html
    assert f'<meta property="og:url" content="http://testserver{path}">' in html
    described = re.search(r'<meta name="description" content="([^"]+)">', html)
    assert described is not None
    assert 50 <= len(described[1]) <= 170


def test_only_what_is_no_search_result_is_to_be_indexed(client: Client, catalog: None) -> None:
    assert "noindex" not in client.get("/models/").content.decode()
    assert "noindex" in client.get("/models/?q=gpt").content.decode()


def test_the_landing_page_switches_the_model_without_script(client: Client, catalog: None) -> None:
    html = client.get("/?model=deepseek-v4-pro").content.decode()

    assert html.count("<mark data-model>deepseek-v4-pro</mark>") == 3
    assert 'value="deepseek-v4-pro" checked' in html
    assert "<mark data-model>gpt-4o</mark>" in client.get("/?model=gpt-none").content.decode()
    assert "<mark data-model>o3</mark>" in client.get("/?model=o3").content.decode()
    assert "<mark data-model>gpt-4o</mark>" in client.get("/?model=whisper-1").content.decode()


def test_the_landing_page_reckons_what_requests_cost(client: Client, catalog: None) -> None:
    shown = words(client.get("/").content.decode())

    # 1,000 times (500 tokens at $2.50 and 200 tokens at $10.00 per million)
    assert "GPT-4o costs $2.50 in and $10.00 out per 1M tokens" in shown
    assert "500 tokens in and 200 out are $3.25" in shown
    assert "Start with $5 of credit" in shown
