"""The usage page: its numbers against an independent calculation, its filters, its bounds and its downloads."""

from __future__ import annotations

import csv
import random
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import keys, organizations
from accounts.models import ApiKey, Organization, User
from bench import filling
from bench.pages import MOST_QUERIES
from billing import partitions
from billing.models import UsageRecord
from fastanchor.pages import usage as page, usage_asked
from tests.pages.markup import faults, words
from tests.pages.usage import serve

DAY_MS = 24 * 3_600_000


@pytest.fixture
def used(organization: Organization, ada: User) -> list[UsageRecord]:
    """Sixty requests of the last three days: two keys, three models."""
    partitions.prepare(today=(datetime.now(UTC) - timedelta(days=3)).date(), months_ahead=1)
    made = [keys.create(organization=organization, name=name, created_by=ada)[0] for name in ("Laptop", "CI")]
    draw = random.Random(4)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(60):
        start = int(midnight.timestamp() * 1_000) - draw.randrange(3 * DAY_MS)
        cost = draw.randrange(10**8)
        serve(
            organization,
            made[number % 2],
            model_id=draw.choice(["gpt-4o", "qwen-3.7-max", "claude-haiku-4"]),
            provider_id=draw.choice(["openai", "alibaba"]),
            started_at_ms=start,
            finished_at_ms=start + draw.randrange(100, 20_000),
            first_token_ms=draw.randrange(50, 100),
            status=502 if number % 10 == 0 else 200,
            outcome="upstream_died" if number % 10 == 0 else "completed",
            input_tokens=draw.randrange(10_000),
            cached_tokens=0,
            output_tokens=draw.randrange(900),
            cost_nano=cost,
            cost_picos=cost * 1_000,
        )
    return list(UsageRecord.objects.all())


def told(browser: Client, **given: str) -> dict[str, Any]:
    answer: dict[str, Any] = browser.get(reverse("usage"), {"format": "json", **given}).json()
    return answer


def shown(browser: Client, **given: str) -> str:
    response = browser.get(reverse("usage"), given)
    assert response.status_code == 200
    return response.content.decode()


def usd(nanos: int) -> str:
    return f"{nanos // 10**9}.{nanos % 10**9:09d}"


@pytest.mark.parametrize(
    ("group", "field"), [("model", "model_id"), ("key", "key_id"), ("provider", "provider_id")]
)
def test_each_group_is_the_sum_of_its_records_the_dearest_first(
    browser: Client, used: list[UsageRecord], group: str, field: str
) -> None:
    costs: Counter[str] = Counter()
    requests: Counter[str] = Counter()
    for record in used:
        costs[getattr(record, field)] += record.cost_nano
        requests[getattr(record, field)] += 1

    answer = told(browser, group=group, range="7d")

    assert [(row["id"], row["cost_usd"], row["requests"]) for row in answer["rows"]] == [
        (name, usd(cost), requests[name]) for name, cost in costs.most_common()
    ]
    assert answer["total"]["cost_usd"] == usd(sum(costs.values()))
    assert answer["total"]["requests"] == 60
    assert answer["other"] is None


def test_each_day_is_the_sum_of_its_records_and_days_without_any_are_there_too(
    browser: Client, used: list[UsageRecord]
) -> None:
    tokens: Counter[date] = Counter()
    for record in used:
        tokens[record.started_at.astimezone(UTC).date()] += record.input_tokens + record.output_tokens

    answer = told(browser, measure="tokens", range="7d")

    today = datetime.now(UTC).date()
    days = [today - timedelta(days=back) for back in range(6, -1, -1)]
    assert [(row["name"], row["tokens"]) for row in answer["rows"]] == [
        (day.isoformat(), tokens[day]) for day in days
    ]


def test_a_day_is_read_by_hour(browser: Client, used: list[UsageRecord]) -> None:
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()

    answer = told(browser, measure="requests", **{"from": day, "to": day})

    by_hour = Counter(
        f"{record.started_at.astimezone(UTC):%H}:00"
        for record in used
        if record.started_at.astimezone(UTC).date().isoformat() == day
    )
    assert [row["name"] for row in answer["rows"]] == [f"{hour:02d}:00" for hour in range(24)]
    assert {row["name"]: row["requests"] for row in answer["rows"] if row["requests"]} == by_hour


def test_filters_narrow_all_numbers(browser: Client, used: list[UsageRecord]) -> None:
    key = ApiKey.objects.get(name="CI")
    wanted = [record for record in used if record.key_id == key.pk and record.model_id == "gpt-4o"]

    answer = told(browser, group="provider", range="7d", key=key.pk, model="gpt-4o")
    html = shown(browser, group="provider", range="7d", key=key.pk, model="gpt-4o")

    assert answer["total"]["cost_usd"] == usd(sum(record.cost_nano for record in wanted))
    assert f"Requests {len(wanted)} " in words(html)
    assert f'<option value="{key.pk}" selected>CI</option>' in html


def requests_of(browser: Client, html: str, label: str) -> list[str]:
    """Follow a link to the log and return the ids of the requests that it lists."""
    [path] = re.findall(rf'href="([^"]*)" aria-label="{label}"', html)
    response = browser.get(unescape(path))
    assert response.status_code == 200
    return sorted(re.findall(r'<tr class="request" id="(req_\w+)"', response.content.decode()))


def test_the_requests_that_were_summed_up_are_listed_in_the_log(
    browser: Client, used: list[UsageRecord]
) -> None:
    first, last = (datetime.now(UTC).date() - timedelta(days=back) for back in (2, 1))
    days = {"from": first.isoformat(), "to": last.isoformat()}
    key = ApiKey.objects.get(name="CI")
    wanted = [
        record
        for record in used
        if record.key_id == key.pk and first <= record.started_at.astimezone(UTC).date() <= last
    ]

    html = shown(browser, group="model", key=key.pk, **days)

    ids = sorted(record.request_id for record in wanted)
    assert 0 < len(ids) < 30
    assert requests_of(browser, html, "All these requests") == ids
    of_one_model = sorted(record.request_id for record in wanted if record.model_id == "gpt-4o")
    assert requests_of(browser, html, "Requests of gpt-4o") == of_one_model


def test_the_requests_of_a_day_are_listed_in_the_log(browser: Client, used: list[UsageRecord]) -> None:
    day = datetime.now(UTC).date() - timedelta(days=2)

    html = shown(browser, range="7d")

    ids = sorted(record.request_id for record in used if record.started_at.astimezone(UTC).date() == day)
    assert requests_of(browser, html, f"Requests of {day}") == ids


def test_errors_are_counted_and_rated(browser: Client, used: list[UsageRecord]) -> None:
    answer = told(browser, measure="errors", group="key", range="7d")

    assert answer["total"] == {
        "id": "", "name": "Total", "failed_requests": 6, "failed_per_mille": 100, "requests": 60,
        "cost_usd": usd(sum(record.cost_nano for record in used)),
    }  # fmt: skip
    assert [row["failed_requests"] for row in answer["rows"]] == [6, 0]


def test_latency_is_near_what_the_records_say_and_leaves_failures_out(
    browser: Client, used: list[UsageRecord]
) -> None:
    took = [
        (record.finished_at - record.started_at) // timedelta(milliseconds=1)
        for record in used
        if record.status == 200
    ]
    in_order = sorted(took)
    median, p95 = in_order[len(took) // 2 - 1], in_order[-(-len(took) * 95 // 100) - 1]

    total = told(browser, measure="latency", group="model", range="7d")["total"]

    assert median <= total["median_ms"] <= median * 5 / 4 + 1
    assert p95 <= total["p95_ms"] <= p95 * 5 / 4 + 1
    assert total["first_token_median_ms"] <= 125
    html = shown(browser, measure="latency", group="model", range="7d")
    assert 'data-kind="line"' in html


def test_latency_by_group_is_limited_and_its_total_and_chart_are_of_all(
    browser: Client, used: list[UsageRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_time = told(browser, measure="latency", group="time", range="7d")
    every = told(browser, measure="latency", group="model", range="7d")
    monkeypatch.setattr(page, "MOST_DOWNLOADED", 1)

    first = told(browser, measure="latency", group="model", range="7d")

    assert every["total"] == first["total"] == by_time["total"] | {"id": "", "name": "Total"}
    assert first["rows"] == every["rows"][:1]
    assert first["rows"][0]["requests"] == max(row["requests"] for row in every["rows"])
    assert first["other"]["requests"] == len(used) - first["rows"][0]["requests"]
    chart = [
        shown(browser, measure="latency", group=group, range="7d")
        .split('id="chart-table"')[1]
        .split("</table>")[0]
        for group in ("time", "model")
    ]
    assert re.search(r'data-value="\d', chart[0])
    assert chart[0] == chart[1]


def test_a_row_leads_to_its_course_with_the_filters_kept(browser: Client, used: list[UsageRecord]) -> None:
    key, model = used[0].key_id, used[0].model_id

    html = shown(browser, group="model", range="7d", key=key)

    [path] = set(re.findall(r'href="(\?[^"]*)">' + re.escape(model), html))
    assert parse_qs(unescape(path)[1:]) == {
        "group": ["time"],
        "range": ["7d"],
        "key": [key],
        "model": [model],
    }


def test_the_chart_s_table_adds_up_to_the_table(browser: Client, used: list[UsageRecord]) -> None:
    html = shown(browser, group="model", range="7d")

    chart = html[html.index('id="chart-table"') : html.index('id="usage-table"')]
    assert sum(map(int, re.findall(r'data-value="(\d+)"', chart))) == sum(record.cost_nano for record in used)
    assert chart.count("<tr>") == 8


def test_what_is_not_named_stands_together_as_other(
    browser: Client, used: list[UsageRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST_ROWS", 1)
    monkeypatch.setattr(page, "MOST_DOWNLOADED", 1)

    answer = told(browser, group="model", measure="requests", range="7d")
    html = shown(browser, group="model", measure="requests", range="7d")

    assert len(answer["rows"]) == 1
    assert answer["rows"][0]["requests"] + answer["other"]["requests"] == 60
    assert answer["other"]["name"] == "2 others"
    assert f"2 more {answer['other']['requests']} " in words(html)


def test_the_csv_is_the_table_and_no_formula(browser: Client, organization: Organization) -> None:
    key, _ = keys.create(organization=organization, name="=cmd")
    serve(organization, key)

    response = browser.get(reverse("usage"), {"format": "csv", "group": "key", "range": "today"})

    rows = list(csv.reader(response.content.decode().splitlines()))
    assert rows == [
        ["id", "key", "cost_usd", "requests", "tokens", "failed_per_mille"],
        [key.pk, "'=cmd", "0.000347500", "1", "1234", "0"],
        ["", "Total", "0.000347500", "1", "1234", "0"],
    ]
    assert "attachment" in response["Content-Disposition"]


def test_a_range_is_compared_with_the_one_before_up_to_the_same_hour() -> None:
    now = datetime(2026, 11, 30, 14, 45, tzinfo=UTC)

    asked = usage_asked.read({"range": "7d"}, now)
    over, before = asked.compared(now)

    assert (asked.first, asked.last) == (date(2026, 11, 24), date(2026, 11, 30))
    assert over.start == datetime(2026, 11, 24, tzinfo=UTC)
    assert over.end == datetime(2026, 11, 30, 14, tzinfo=UTC)
    assert before.start == datetime(2026, 11, 17, tzinfo=UTC)
    assert before.end == datetime(2026, 11, 23, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "trouble"),
    [
        ({"from": "30.11.2026"}, "is not a day"),
        ({"from": "2026-11-30", "to": "2026-11-01"}, "is after the last"),
        ({"from": "2020-01-01", "to": "2026-11-01"}, "At most 366 days"),
        ({"from": "9999-12-31"}, "still to come"),
        ({"to": "0001-01-01"}, "is not a day"),
    ],
)
def test_days_that_make_no_sense_are_explained(
    browser: Client, organization: Organization, given: dict[str, str], trouble: str
) -> None:
    html = shown(browser, **given)

    assert trouble in words(html)
    assert 'aria-invalid="true"' in html
    assert browser.get(reverse("usage"), {"format": "csv", **given}).status_code == 400


def test_a_year_is_shown_by_week(browser: Client, organization: Organization, key: ApiKey) -> None:
    serve(organization, key)
    first = (datetime.now(UTC) - timedelta(days=365)).date().isoformat()

    answer = told(browser, measure="requests", **{"from": first})

    assert len(answer["rows"]) in {53, 54}
    assert answer["rows"][-1]["requests"] == answer["total"]["requests"] == 1


def test_a_foreign_key_is_not_found(browser: Client, organization: Organization, cleo: User) -> None:
    foreign, _ = keys.create(organization=organizations.of_user(cleo), name="Cleo's")

    assert browser.get(reverse("usage"), {"key": foreign.pk}).status_code == 404


def test_usage_of_others_is_never_counted(browser: Client, organization: Organization, cleo: User) -> None:
    stranger = organizations.of_user(cleo)
    key, _ = keys.create(organization=stranger, name="Cleo's")
    serve(stranger, key, model_id="secret-model")

    html = shown(browser, range="today", group="model")

    assert "secret-model" not in html
    assert "No requests in this range" in words(html)


def test_without_requests_the_next_step_is_told(browser: Client, organization: Organization) -> None:
    html = shown(browser)

    assert "Make a request" in words(html)
    assert "Clear the filters" in words(shown(browser, model="gpt-4o"))


@pytest.mark.parametrize(
    ("measure", "told"),
    [("errors", "Failed requests by day"), ("latency", "Latency by day"), ("tokens", "Tokens by day")],
)
def test_the_chart_says_what_it_shows(
    browser: Client, used: list[UsageRecord], measure: str, told: str
) -> None:
    assert f'id="chart-name">{told}</h2>' in shown(browser, measure=measure, range="7d")


@pytest.mark.parametrize("measure", list(usage_asked.MEASURES))
@pytest.mark.parametrize("group", list(usage_asked.GROUPS))
def test_every_view_is_plain_and_takes_few_queries(
    browser: Client, used: list[UsageRecord], measure: str, group: str
) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        html = shown(browser, measure=measure, group=group, range="7d")

    assert len(queries) <= MOST_QUERIES
    assert faults(html) == []
    assert 'id="usage-table"' in html


def test_ten_thousand_records_take_no_more_queries_than_ten(client: Client, db: None) -> None:
    counts = []
    for number, email in ((10, "ten@example.com"), (10_000, "many@example.com")):
        filled = filling.fill(records=number, email=email)
        client.force_login(filled.owner)
        for group in usage_asked.GROUPS:
            shown(client, group=group, range="90d")
        with CaptureQueriesContext(connection) as queries:
            for name, given in (("usage", {"range": "90d", "group": "model"}), ("dashboard", {})):
                assert client.get(reverse(name), given).status_code == 200
        counts.append(len(queries))
        assert not any(
            "billing_usagerecord" in query["sql"] and "LIMIT" not in query["sql"] for query in queries
        )

    assert counts[0] == counts[1] <= 24


def test_the_range_before_is_compared_without_the_hour_that_still_runs(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    now = datetime.now(UTC)
    over = now.replace(minute=0, second=0, microsecond=0)
    partitions.prepare(today=(now - timedelta(days=15)).date(), months_ahead=1)
    for at, cost in (
        (now, 10**9),
        (over - timedelta(days=3), 3 * 10**9),
        (over - timedelta(days=10), 2 * 10**9),
        (over - timedelta(days=7), 10**10),
    ):
        serve(
            organization,
            key,
            started_at_ms=int(at.timestamp() * 1_000),
            cost_nano=cost,
            cost_picos=cost * 1_000,
        )

    html = words(shown(browser, range="7d"))

    # $3 in hours that are over, $2 in those of the days before; what began in the hour after them is left out.
    assert "Spend $4.00 +50 % from $2.00" in html
