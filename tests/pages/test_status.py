"""The status page says what the records say, and nothing where there are none."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.template.loader import render_to_string
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import ApiKey, Organization
from bench.pages import MOST_QUERIES
from billing.models import Health
from catalog import incidents
from catalog.models import CatalogModel, Incident, Provider
from fastanchor import health
from fastanchor.lib.histogram import bucket_of, edge
from fastanchor.pages import status_board
from tests.pages.markup import faults, words
from tests.pages.usage import serve

# The edge of the bucket that 300 ms are in.
FIRST_TOKEN = f"{edge(bucket_of(300))} ms"
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def acme(db: None) -> Provider:
    provider = Provider.objects.create(slug="acme", name="Acme", base_url="https://acme.example/v1")
    for name in ("swift", "still"):
        CatalogModel.objects.create(
            id=name, provider=provider, name=name.title(), upstream_name=name, context_window=9, max_output=9
        )
    return provider


def _serve(organization: Organization, key: ApiKey, *, failed: int = 0, **changes: Any) -> None:
    acme = {"provider_id": "acme", "model_id": "swift", **changes}
    serve(organization, key, **acme)
    nothing = {"outcome": "failed", "status": 503, "cost_nano": 0, "cost_picos": 0, "first_token_ms": -1}
    for _ in range(failed):
        serve(organization, key, **(acme | nothing))


def _told(client: Client) -> dict[str, Any]:
    return dict(json.loads(client.get("/status.json").content))


def test_without_any_traffic_nothing_is_claimed(client: Client, acme: Provider) -> None:
    page = words(client.get("/status/").content.decode())
    [told] = _told(client)["providers"]

    assert "No known problems" in page
    assert "There were no requests in the last two hours to judge by." in page
    assert "Acme no traffic in 30 days" in page
    assert "100 %" not in page
    assert told["last_30_days"] == {"served": 0, "failed": 0, "uptime_basis_points": None}
    assert told["models_without_traffic"] == ["still", "swift"]


def test_the_numbers_are_those_of_the_records(
    client: Client, acme: Provider, organization: Organization, key: ApiKey
) -> None:
    for _ in range(3):
        _serve(organization, key)
    _serve(organization, key, failed=1)
    now_ms = int(datetime.now(UTC).timestamp() * 1_000)
    long_ago = now_ms - 5 * 24 * 3_600_000
    _serve(organization, key, failed=3, started_at_ms=long_ago, finished_at_ms=long_ago + 1)

    page = words(client.get("/status/").content.decode())
    [told] = _told(client)["providers"]

    assert told["last_24_hours"] == {"served": 4, "failed": 1, "uptime_basis_points": 8_000}
    assert told["last_7_days"] == {"served": 5, "failed": 4, "uptime_basis_points": 5_555}
    assert told["models"][0]["first_token_ms"]["median"] >= 300
    assert "80.00 % of 5 requests in the last two hours were served." in page
    assert "55.55 %" in page
    assert told["models_without_traffic"] == ["still"]


def test_a_good_hour_is_told_as_one_and_names_the_latency(
    client: Client, acme: Provider, organization: Organization, key: ApiKey
) -> None:
    _serve(organization, key)

    response = client.get("/status/")
    page = words(response.content.decode())

    assert "All systems operational" in page
    assert f"{FIRST_TOKEN} / {FIRST_TOKEN}" in page
    assert faults(response.content.decode()) == []


def test_a_provider_that_fails_is_said_to_fail(
    client: Client, acme: Provider, organization: Organization, key: ApiKey
) -> None:
    _serve(organization, key, failed=1)

    assert _told(client)["providers"][0]["state"] == "Many requests fail"
    assert _told(client)["status"]["indicator"] == "bad"


def _incident(title: str, state: str, impact: str = "partial") -> Incident:
    incident = Incident.objects.create(title=title, impact=impact)
    incident.updates.create(state=state, body=f"**{title}** <b>now</b>")
    incidents.follow_updates(incident)
    return incident


def test_incidents_are_told_open_ones_first_and_in_the_feed(client: Client, acme: Provider) -> None:
    past = _incident("Yesterday", "resolved")
    now = _incident("Today", "identified", impact="major")
    now.affected_models.add(CatalogModel.objects.get(pk="swift"))

    page = client.get("/status/").content.decode()
    feed = ET.fromstring(client.get("/status/feed.atom").content)  # noqa: S314 - our own

    assert page.index("Today") < page.index("Past incidents") < page.index("Yesterday")
    assert "Major outage" in words(page)
    assert "<strong>Today</strong> &lt;b&gt;now&lt;/b&gt;" in page
    assert [each["id"] for each in _told(client)["incidents"]] == [now.pk]
    titles = [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")]
    assert titles == ["Today (Identified)", "Yesterday (Resolved)"]
    links = [entry.findtext(f"{ATOM}id") or "" for entry in feed.iter(f"{ATOM}entry")]
    assert [link.partition("#")[2] for link in links] == [now.pk, past.pk]


def _history(models: int) -> None:
    """Keep a month of health of many models, and many incidents."""
    now = datetime.now(UTC)
    days = [int(f"{now - timedelta(days=back):%Y%m%d}") for back in range(30)]
    hours = [int(f"{now - timedelta(hours=back):%Y%m%d%H}") for back in range(24)]
    Health.objects.bulk_create(
        Health(period=period, provider_id="acme", model_id=f"m-{number}", served=9, first_token={30: 9})
        for number in range(models)
        for period in (*days, *hours)
    )
    for number in range(models // 4):
        _incident(str(number), "resolved")
        _incident(f"open {number}", "monitoring")


@pytest.mark.parametrize("models", [4, 200])
def test_the_page_asks_as_few_questions_whatever_there_is(
    browser: Client, acme: Provider, django_assert_max_num_queries: DjangoAssertNumQueries, models: int
) -> None:
    _history(models)

    with django_assert_max_num_queries(MOST_QUERIES):
        response = browser.get("/status/")

    assert response.status_code == 200
    assert response.content.decode().count('<svg class="strip"') == 1


def test_a_board_is_kept_for_some_seconds(
    client: Client,
    acme: Provider,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _history(4)
    monkeypatch.setattr(status_board, "KEPT_S", 60.0)
    client.get("/status/")

    with django_assert_max_num_queries(6):
        client.get("/status/?page=9999")

    status_board.forget()


def test_the_page_stands_while_postgresql_does_not_answer(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "checks", lambda: {"postgresql": False, "valkey": True})

    response = client.get("/status/")

    assert response.status_code == 200
    assert "Some of our own parts do not answer" in words(response.content.decode())
    assert _told(client)["providers"] == []


def test_a_models_own_page_gets_the_same_numbers(
    client: Client, acme: Provider, organization: Organization, key: ApiKey
) -> None:
    _serve(organization, key, failed=1)

    swift = words(render_to_string("site/_model_health.html", status_board.model_health("swift")))
    still = words(render_to_string("site/_model_health.html", status_board.model_health("still")))

    assert "50.00 %" in swift
    assert f"{FIRST_TOKEN} / {FIRST_TOKEN}" in swift
    assert "No requests in the last 30 days" in still
