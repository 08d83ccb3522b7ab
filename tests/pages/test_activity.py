"""The log of requests as people see it: filters, pages, what is rare, what is foreign."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts import organizations
from accounts.models import ApiKey, Organization, User
from bench.pages import MOST_QUERIES
from billing import request_log
from tests.billing.many import fill
from tests.pages.markup import faults, words
from tests.pages.usage import serve


def log(browser: Client, **filters: str) -> str:
    answer = browser.get(reverse("activity"), filters)
    assert answer.status_code == 200, words(answer.content.decode())
    html = answer.content.decode()
    assert faults(html) == []
    return html


def listed(html: str) -> list[str]:
    return re.findall(r'class="request" id="(\w+)"', html)


def link(html: str, name: str) -> dict[str, str]:
    """Return the query of a link of the pager."""
    found = re.search(rf'href="\?([^"]*)">{name}</a>', html)
    assert found is not None, name
    pairs = (pair.partition("=") for pair in found[1].replace("&amp;", "&").split("&") if pair)
    return {name: value for name, _, value in pairs}


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)


def test_a_request_is_listed_with_its_outcome_and_exact_cost(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    usage = serve(organization, key)

    html = log(browser)

    assert listed(html) == [usage.request_id]
    assert "gpt-4o Laptop 1\u202f200 34 900 ms OK $0.000347 500" in words(html)
    assert "1 request for $0.0003 , 1\u202f200 tokens in, 34 out" in words(html)


def test_filters_narrow_the_log_and_each_can_be_taken_off(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    dear = serve(organization, key, model_id="o3", cost_nano=60_000_000, cost_picos=60_000_000_000)
    serve(organization, key, model_id="o3")
    serve(organization, key, cost_nano=70_000_000, cost_picos=70_000_000_000)

    html = log(browser, model="o3", least="0.05", range="24h")

    assert listed(html) == [dear.request_id]
    chips = re.findall(r'<a class="chip" href="\?([^"]*)">([^<]+?) <', html)
    assert chips == [
        ("model=o3&amp;least=0.05", "Last 24 hours"),
        ("least=0.05&amp;range=24h", "Model: o3"),
        ("model=o3&amp;range=24h", "At least $0.05"),
    ]
    assert f'href="{reverse("exports")}?model=o3&amp;least=0.05&amp;range=24h"' in html


def test_the_dearest_request_is_found_first(browser: Client, organization: Organization, key: ApiKey) -> None:
    costs = [5, 40, 40, 7]
    served = [serve(organization, key, cost_nano=nano, cost_picos=nano * 1000) for nano in costs]

    html = log(browser, sort="dearest")

    assert listed(html)[0] in {served[1].request_id, served[2].request_id}
    assert listed(html)[2:] == [served[3].request_id, served[0].request_id]
    assert "Follow live" not in html


@pytest.mark.parametrize(("zone", "hour"), [("UTC", 12), ("Asia/Tokyo", 21)])
def test_moments_are_read_in_the_zone_that_stands_beside_them(
    browser: Client, organization: Organization, key: ApiKey, zone: str, hour: int
) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    wanted = serve(organization, key, started_at_ms=ms(noon), finished_at_ms=ms(noon) + 5)
    serve(organization, key, started_at_ms=ms(noon - timedelta(minutes=1)), finished_at_ms=ms(noon))

    html = log(browser, since=f"2026-03-01T{hour}:00", until=f"2026-03-01T{hour}:01", zone=zone)

    assert listed(html) == [wanted.request_id]
    assert f"From 2026-03-01 {hour}:00 {zone}" in words(html)


def test_all_years_can_be_asked_for(browser: Client, organization: Organization, key: ApiKey) -> None:
    usage = serve(organization, key)

    assert listed(log(browser, since="0001-01-01T00:00", until="9999-12-31T23:59")) == [usage.request_id]


def test_pages_lead_through_all_requests_and_back_while_new_ones_arrive(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    now = datetime.now(UTC)
    fill(organization, 3 * request_log.ROWS, newest=now - timedelta(hours=1))
    first = log(browser)
    serve(organization, key)

    second = log(browser, **link(first, "Older"))
    third = log(browser, **link(second, "Older"))

    ids = [*listed(first), *listed(second), *listed(third)]
    assert len(set(ids)) == len(ids) == 3 * request_log.ROWS
    assert ids == sorted(ids)
    assert "Older</a>" not in third
    assert listed(log(browser, **link(third, "Newer"))) == listed(second)
    assert len(listed(log(browser, **link(second, "Newer")))) == request_log.ROWS


def test_what_is_rare_says_how_far_it_was_searched(
    browser: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "SCANNED", 100)
    monkeypatch.setattr(request_log, "RARE", 10)
    fill(organization, 150, newest=datetime.now(UTC))

    html = log(browser, stream="yes", most="0.0000010")

    assert "Searched back to" in words(html)
    assert "Search on" in html
    assert "Nothing matches" not in words(html)


def test_an_id_leads_to_its_request_and_an_unknown_one_is_explained(
    browser: Client, organization: Organization, key: ApiKey, cleo: User
) -> None:
    usage = serve(organization, key)
    strange = serve(organizations.of_user(cleo), key)

    found = browser.get(reverse("activity"), {"id": f" {usage.request_id} "})
    missing = browser.get(reverse("activity"), {"id": strange.request_id})

    assert found["Location"] == reverse("request", args=[usage.request_id])
    assert missing.status_code == 404
    assert "You have no request with this id" in words(missing.content.decode())
    assert faults(missing.content.decode()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"least": "much"},
        {"zone": "Nowhere/City"},
        {"key": "key_of_cleo"},
        {"model": "o3"},
        {"since": "0001-01-01T00:00", "zone": "Asia/Tokyo"},
        {"until": "9999-12-31T23:59", "zone": "America/New_York"},
    ],
)
def test_a_filter_that_cannot_be_is_refused_at_its_field(browser: Client, wrong: dict[str, str]) -> None:
    answer = browser.get(reverse("activity"), wrong)

    assert answer.status_code == 422
    assert 'class="field-error"' in answer.content.decode()
    assert browser.get(reverse("activity-live"), wrong).status_code == 422


def test_a_place_that_nobody_has_written_is_not_there(browser: Client) -> None:
    for name in ("before", "after"):
        assert browser.get(reverse("activity"), {name: "1-2-req'"}).status_code == 404


def test_requests_of_others_are_never_listed(
    browser: Client, organization: Organization, key: ApiKey, cleo: User
) -> None:
    serve(organizations.of_user(cleo), key)

    assert listed(log(browser, range="any")) == []
    assert listed(log(browser, range="any", sort="dearest", key=key.pk)) == []


def test_the_first_step_is_shown_to_those_who_have_none(browser: Client) -> None:
    assert "Make the first one" in words(log(browser))


def test_a_stranger_is_sent_to_the_login(client: Client, db: None) -> None:
    for name in ("activity", "activity-live"):
        path = reverse(name)
        assert client.get(path)["Location"] == f"{reverse('account_login')}?next={path}"


@pytest.mark.parametrize("count", [10, 10_000])
def test_no_page_costs_more_queries_with_more_requests(
    browser: Client,
    organization: Organization,
    key: ApiKey,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    count: int,
) -> None:
    fill(organization, count, newest=datetime.now(UTC))
    wishes: tuple[dict[str, str], ...] = (
        {},
        {"sort": "dearest", "outcome": "failed"},
        {"range": "any", "model": "model-1", "least": "0.0009", "stream": "no", "outcome": "cut"},
    )

    for wish in wishes:
        with django_assert_max_num_queries(MOST_QUERIES):
            log(browser, **wish)
    newest = f"req_{1:022d}"
    with django_assert_max_num_queries(MOST_QUERIES):
        assert browser.get(reverse("request", args=[newest])).status_code == 200
