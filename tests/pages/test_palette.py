"""What the command palette lists of the navigation, and what it finds beside it."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import resolve, reverse
from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db


def found(client: Client, words: str) -> list[dict[str, str]]:
    lines: list[dict[str, str]] = client.get(reverse("palette"), {"q": words}).json()["found"]
    return lines


def test_each_page_of_the_console_is_listed_once_in_its_own_group(browser: Client) -> None:
    html = browser.get(reverse("dashboard")).content.decode()
    listed = re.findall(r'palette-link" href="([^"]+)"[^>]*>(.+?) <span class="palette-group">(.+?)<', html)

    assert len({(path, label) for path, label, _ in listed}) == len(listed)
    assert {
        ("/dashboard/exports/", "Exports", "Activity"),
        ("/billing/invoices/", "Invoices", "Billing"),
        ("/settings/sessions/", "Sessions", "Settings"),
    } <= set(listed)


def test_models_and_the_documentation_are_found_by_words(client: Client, catalog: None) -> None:
    by_id, by_topic = found(client, "gpt-4o"), found(client, "rate limits")

    assert {"label": "GPT-4o", "group": "Model", "path": "/models/gpt-4o/"} in by_id
    assert any(line["group"] == "Docs" and line["path"].startswith("/docs/limits/") for line in by_topic)
    assert all(resolve(line["path"].partition("#")[0]) for line in by_id + by_topic)


def test_a_request_is_looked_for_in_the_log_by_its_id(client: Client) -> None:
    [line] = found(client, "req_0VcT4s2CYguqvG08PuKCSU")

    assert line["path"] == f"{reverse('activity')}?id=req_0VcT4s2CYguqvG08PuKCSU"


def test_few_lines_answer_any_words(
    client: Client, catalog: None, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(3):
        lines = found(client, "a")

    assert 0 < len(lines) <= 10
    assert found(client, "") == found(client, "zzzz?!") == []
    assert found(client, "x" * 10_000) == []
