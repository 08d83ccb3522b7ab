"""The manual's pages are docs/ as customers need it: their own base URL, nothing of the repository's own affairs."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from fastanchor import manual
from tests.pages.markup import faults, words


@pytest.mark.parametrize("name", manual.PAGES)
def test_a_page_is_plain_html_with_a_way_to_each_section(client: Client, name: str) -> None:
    html = client.get(reverse("manual", args=[name])).content.decode()

    assert faults(html) == []
    for heading in manual.page(name, origin="https://x.example").headings:
        assert html.count(f'id="{heading.anchor}"') == 1
        assert f'href="#{heading.anchor}"' in html


def test_the_snippets_name_the_reader_s_own_address(client: Client) -> None:
    html = client.get(reverse("manual", args=["clients"]), headers={"host": "testserver"}).content.decode()

    assert "http://testserver/v1" in html
    assert "127.0.0.1" not in html
    assert "wire_api = &quot;responses&quot;" in html


def test_an_address_cannot_bring_markup_with_it() -> None:
    assert "<script>" not in manual.page("clients", origin='https://x"><script>').html


@pytest.mark.parametrize("name", manual.PAGES)
def test_the_repository_s_own_affairs_stay_out(name: str) -> None:
    text = words(manual.page(name, origin="https://x.example").html)

    assert "./dev" not in text
    assert "<!--" not in text
    assert "repository" not in text


def test_formats_are_a_table_that_tells_what_is_refused(client: Client) -> None:
    html = client.get(reverse("manual", args=["formats"])).content.decode()

    assert '<table class="table is-dense">' in html
    assert "x-fa-dropped" in html


def test_there_is_no_other_page(client: Client) -> None:
    assert client.get("/docs/architecture/").status_code == 404
