"""The pages on which exports are asked for, watched and downloaded."""

from __future__ import annotations

import base64
import gzip
import json
from typing import cast

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import organizations, people
from accounts.models import ApiKey, Organization, User
from bench.pages import MOST_QUERIES
from billing.exports import jobs, runs
from billing.models import Export, ExportState
from billing.selection import Selection
from fastanchor.lib.valkey import sync_client
from fastanchor.pages import exports as pages
from tests.pages.markup import faults, words
from tests.pages.usage import serve


@pytest.fixture(autouse=True)
def _in_memory(settings: Settings) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "exports": memory}


def ask(browser: Client, **changes: str) -> Export:
    answer = browser.post(reverse("exports"), {"range": "30d", "file_format": "csv", **changes})
    assert answer.status_code == 302, words(answer.content.decode())
    return Export.objects.latest("asked_at")


def test_a_file_is_asked_for_written_and_downloaded(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    mine = serve(organization, key)
    serve(organization, key, model_id="o3")
    export = ask(browser, model="gpt-4o", key=key.pk)
    waiting = browser.get(reverse("export", args=[export.pk])).content.decode()
    assert faults(waiting) == []
    assert "Waiting" in words(waiting)
    assert "data-watch" in waiting

    runs.run(export.pk)

    ready = browser.get(reverse("export", args=[export.pk])).content.decode()
    assert "Ready" in words(ready)
    assert "data-watch" not in ready
    answer = cast("StreamingHttpResponse", browser.get(reverse("download-export", args=[export.pk])))
    with pytest.warns(Warning, match="must consume asynchronous iterators"):
        sent = b"".join(answer)
    assert len(sent) == int(answer["Content-Length"])
    assert 'filename="fastanchor-requests-' in answer["Content-Disposition"]
    assert "no-store" in answer["Cache-Control"]
    _, row = gzip.decompress(sent).decode().splitlines()
    assert row.startswith(f"{mine.request_id},")
    assert ",0.000347500,347500," in row


def test_the_wish_is_filled_in_from_the_log_s_filters(
    browser: Client, organization: Organization, key: ApiKey
) -> None:
    serve(organization, key)

    html = browser.get(reverse("exports"), {"model": "gpt-4o", "least": "0.01"}).content.decode()

    assert faults(html) == []
    assert '<option value="gpt-4o" selected>' in html
    assert 'value="0.01"' in html
    assert '<details class="log-more" open>' in html


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"least": "much"}, "Enter US dollars, such as 0.05."),
        ({"zone": "Nowhere/City"}, "We do not know this zone. Choose UTC."),
        (
            {"since": "2026-02-01T00:00", "until": "2026-01-01T00:00"},
            "The end must come after the beginning.",
        ),
        ({"until": "9999-12-31T23:59", "zone": "America/New_York"}, "Enter a time of this century."),
        ({"least": "2", "most": "1"}, "The most must not be less than the least."),
        ({"key": "key_of_cleo"}, "not one of the available choices"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_at_its_field(
    browser: Client, wrong: dict[str, str], told: str
) -> None:
    answer = browser.post(reverse("exports"), {"file_format": "csv", **wrong})

    assert answer.status_code == 422
    assert told in words(answer.content.decode())
    assert faults(answer.content.decode()) == []
    assert not Export.objects.exists()


def test_a_third_export_at_once_is_refused_with_a_way_out(
    browser: Client, organization: Organization
) -> None:
    ask(browser)
    second = ask(browser)

    answer = browser.post(reverse("exports"), {"range": "30d", "file_format": "csv"})

    assert answer.status_code == 422
    assert "Wait until one is ready, or cancel one." in words(answer.content.decode())
    browser.post(reverse("cancel-export", args=[second.pk]))
    assert ask(browser).state == ExportState.QUEUED


def test_a_cancelled_export_has_no_file(browser: Client, organization: Organization) -> None:
    export = ask(browser)
    browser.post(reverse("cancel-export", args=[export.pk]))
    runs.run(export.pk)

    answer = browser.get(reverse("download-export", args=[export.pk]), follow=True)

    shown = words(answer.content.decode())
    assert "Cancelled" in shown
    assert "ask for it again" in shown


@pytest.mark.parametrize("name", ["export", "export-progress", "download-export", "cancel-export"])
def test_another_organization_s_export_is_not_there(browser: Client, cleo: User, name: str) -> None:
    strange = jobs.ask(
        organization=organizations.of_user(cleo),
        by=cleo,
        kind="requests",
        file_format="csv",
        wanted=Selection().as_json(),
    )
    send = browser.post if name == "cancel-export" else browser.get

    assert send(reverse(name, args=[strange.pk])).status_code == 404
    strange.refresh_from_db()
    assert strange.state == ExportState.QUEUED


def test_a_stranger_is_sent_to_the_login(client: Client, db: None) -> None:
    for path in (reverse("exports"), reverse("download-export", args=["exp_1"])):
        assert client.get(path)["Location"] == f"{reverse('account_login')}?next={path}"


def test_many_exports_cost_no_more_queries(
    browser: Client,
    organization: Organization,
    ada: User,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    wanted = {"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-02T00:00:00+00:00"}
    Export.objects.bulk_create(
        Export(organization=organization, asked_by=ada, kind="requests", file_format="csv", wanted=wanted)
        for _ in range(30)
    )

    with django_assert_max_num_queries(MOST_QUERIES):
        html = browser.get(reverse("exports")).content.decode()

    assert html.count('class="card export"') == pages.PAGE_SIZE
    assert faults(html) == []


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_told_of_the_wish_at_once(client: Client) -> None:
    ada = people.ensure_verified(email="ada@example.com")
    client.force_login(ada)

    export = ask(client)

    [told] = sync_client().lrange("celery", 0, -1)
    assert f'"{export.pk}"' in base64.b64decode(json.loads(told)["body"]).decode()
