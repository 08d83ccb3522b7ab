"""The search over the documentation."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from fastanchor.manual import search
from tests.pages.markup import faults


@pytest.mark.parametrize(
    ("query", "page", "anchor"),
    [
        ("quickstart", "quickstart", ""),
        ("keep-alive", "streaming", "#silence"),
        ("insufficient_quota", "errors", "#not-enough-credit"),
        ("refund", "credit", ""),
        ("money back", "credit", "#money-back"),
        ("x-fa-cost-nano", "receipts", "#in-the-answer"),
        ("x-ratelimit-remaining", "limits", "#headers"),
        ("count tokens", "messages", "#count-tokens-first"),
        ("claude code", "clients", "#claude-code"),
        ("background", "responses", "#in-the-background"),
    ],
)
def test_what_is_looked_for_comes_first(db: None, query: str, page: str, anchor: str) -> None:
    found = search.find(query)

    assert (found[0].entry.name, found[0].anchor) == (page, anchor)


def test_every_word_must_be_there_and_its_beginning_is_enough(db: None) -> None:
    assert search.find("embedd dimens")[0].entry.name == "embeddings"
    assert search.find("embedd zzzz") == []
    assert search.find("") == search.find("?!") == []


def test_an_excerpt_shows_the_words_and_the_numbers_in_force(db: None) -> None:
    silence = search.find("without an event comment")[0].excerpt

    assert "After 10 seconds <mark>without</mark> <mark>an</mark> <mark>event</mark>" in silence
    assert "{{" not in "".join(each.excerpt for each in search.find("seconds"))


def test_a_search_is_bounded(db: None) -> None:
    assert len(search.find("the")) == search.MOST_FOUND
    assert len(search.words_of(" ".join(map(str, range(100))))) == search.MOST_WORDS


def test_a_page_lists_what_was_found_with_links_to_the_sections(client: Client, db: None) -> None:
    html = client.get(reverse("docs-search"), {"q": "keep-alive"}).content.decode()

    assert 'href="/docs/streaming/#silence"' in html
    assert 'value="keep-alive"' in html
    assert faults(html) == []


def test_words_are_shown_as_text_and_never_as_markup(client: Client, db: None) -> None:
    html = client.get(reverse("docs-search"), {"q": '"><script>alert(1)</script>'}).content.decode()

    assert "<script>alert" not in html
    assert "No section has all of these words" in html
