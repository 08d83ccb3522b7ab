"""No page asks the database more than twelve times, however much there is to show."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import keys, notices
from accounts.models import ApiKey, Organization
from accounts.notice_tables import Notice
from bench.pages import MOST_QUERIES
from billing import partitions, posting
from billing.settlement import settle_batch
from billing.spool import Usage
from tests.pages.urlmap import addresses
from tests.pages.usage import one

FEW, MANY = 10, 10_000
# Streams that end when their reader leaves.
ENDLESS = {"live", "activity-live"}
MINUTE_MS = 60_000
pytestmark = pytest.mark.timeout(300)


def pages() -> list[str]:
    """Return the names of all addresses that need nothing in their path."""
    names = {address.name for address in addresses() if not address.parameters}
    return sorted(names - ENDLESS)


def history(organization: Organization, made: list[ApiKey], count: int) -> None:
    """Settle and post usage of the last weeks, in the keys' turn, models' and outcomes' too."""
    now_ms = time.time_ns() // 1_000_000
    used = [
        used_by(organization, made[number % len(made)], number, now_ms - 4 * number * MINUTE_MS)
        for number in range(count)
    ]
    for start in range(0, count, 500):
        settle_batch(used[start : start + 500])
        posting.post_usage()


def used_by(organization: Organization, key: ApiKey, number: int, at_ms: int) -> Usage:
    """Return a request in its turn: every seventh has failed."""
    changes: dict[str, Any] = {
        "model_id": ("gpt-4o", "gpt-4.1", "deepseek-v4-pro")[number % 3],
        "provider_id": ("openai", "openai", "deepseek")[number % 3],
        "started_at_ms": at_ms - 900,
        "finished_at_ms": at_ms,
        "is_stream": number % 2 == 0,
    }
    if number % 7 == 0:
        changes |= {
            "first_token_ms": -1,
            "outcome": "free",
            "status": 503,
            "cost_picos": 0,
            "cost_nano": 0,
            "error_code": "service_unavailable",
        }
    return one(organization, key, **changes)


def queries_of(browser: Client) -> dict[str, int]:
    """Visit every page and return how often each asked the database."""
    counted = {}
    for name in pages():
        with CaptureQueriesContext(connection) as queries:
            answer = browser.get(reverse(name))
        if answer.status_code == 200:
            counted[name] = len(queries)
    return counted


def test_no_page_asks_often_or_more_often_when_there_is_more(
    browser: Client, organization: Organization, catalog: None
) -> None:
    oldest = datetime.now(UTC) - timedelta(minutes=4 * MANY)
    partitions.prepare(today=oldest.date(), months_ahead=3)
    Notice.objects.create(title="Slow on Sunday", text="For an hour.", starts_at=oldest)
    notices.forget()
    made = [keys.create(organization=organization, name=f"Key {number}")[0] for number in range(3)]
    history(organization, made, FEW)
    queries_of(browser)
    few = queries_of(browser)

    made += [keys.create(organization=organization, name=f"Key {number}")[0] for number in range(3, 90)]
    history(organization, made, MANY)
    many = queries_of(browser)

    assert {"dashboard", "accounts:keys", "billing:overview", "pricing"} <= few.keys() == many.keys()
    assert {name: count for name, count in many.items() if count > MOST_QUERIES} == {}
    assert {name: (count, many[name]) for name, count in few.items() if many[name] > count} == {}
