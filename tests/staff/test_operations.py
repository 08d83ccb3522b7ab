"""The first page of the administration tells how the product fares, to each role what it may know."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing import pulse, tally
from billing.models import DeadLetter, GatewayProcess
from catalog.models import Channel, Incident, Provider
from fastanchor.lib import valkey as valkey_clients
from tests.billing.cast import make_organization, usage
from tests.staff.conftest import Hire

INDEX = "/admin/"


@pytest.fixture(autouse=True)
def client_of_valkey() -> redis.Redis:
    client = valkey_clients.sync_client()
    client.flushdb()
    return client


def page_of(client: Client, user: User) -> str:
    client.force_login(user)
    answer = client.get(INDEX)
    assert answer.status_code == 200
    return answer.content.decode()


def channel(name: str = "east") -> Channel:
    provider, _ = Provider.objects.get_or_create(pk="openai", defaults={"name": "OpenAI"})
    return Channel.objects.create(provider=provider, name=name, base_url="https://api.openai.com/v1")


def served(client: redis.Redis, channel_id: str, *, requests: int, failed: int = 0) -> None:
    acme = make_organization()
    at_ms = int((time.time() - 3 * pulse.SLOT_S) * 1_000)
    fine = {"started_at_ms": at_ms - 500, "finished_at_ms": at_ms, "channel_id": channel_id}
    wrong = {**fine, "outcome": "failed", "status": 502, "cost_nano": 0, "cost_picos": 0}
    tally.add(
        client, "host-a", [usage(acme, **(wrong if each < failed else fine)) for each in range(requests)]
    )
    tally.wait(client, "host-a", [])


def test_requests_errors_and_channels_of_the_present_are_told(
    client: Client, hire: Hire, client_of_valkey: redis.Redis
) -> None:
    served(client_of_valkey, channel().pk, requests=120, failed=12)

    page = page_of(client, hire("operations"))

    assert ">2.0</a>" in page
    assert "120 in the last minute" in page
    assert "10.0 %" in page
    assert "12 of 120 requests of the last five minutes failed." in page
    assert "OpenAI east" in page


def test_what_waits_for_somebody_leads_to_where_it_is_worked_on(client: Client, hire: Hire) -> None:
    incident = Incident.objects.create(title="Slow answers", impact="degraded")
    DeadLetter.objects.create(
        fingerprint="0" * 64, request_id="req_1", organization_id="org_1", payload="{}", error="no"
    )

    page = page_of(client, hire("operations"))

    assert f'href="{reverse("admin:catalog_incident_change", args=[incident.pk])}">Slow answers</a>' in page
    assert f'href="{reverse("admin:billing_deadletter_changelist")}">1</a>' in page
    assert "One record could not be settled." in page


def test_a_role_sees_the_panels_of_its_permissions_only(client: Client, hire: Hire) -> None:
    channel()

    page = page_of(client, hire("catalog"))

    assert 'id="channels"' in page
    for panel in ("traffic", "settling"):
        assert f'id="{panel}"' not in page
    assert "Dead letters" not in page


def test_who_has_no_role_reads_a_plain_sentence(client: Client, hire: Hire) -> None:
    page = page_of(client, hire(""))

    assert "Ask an owner for a role" in page
    assert "data-operations" not in page


def test_alarms_tell_of_processes_that_are_silent_and_of_channels_without_credentials(
    client: Client, hire: Hire, client_of_valkey: redis.Redis
) -> None:
    channel().credentials.create(name="first", sealed="x", is_enabled=False, disabled_reason="401")
    GatewayProcess.objects.create(spool="spool_1", host="a", seen_at=timezone.now() - timedelta(minutes=3))
    tally.wait(client_of_valkey, "host-a", [usage(make_organization(), finished_at_ms=1_000)])

    page = page_of(client, hire("operations"))

    assert "OpenAI east has no credential that works." in page
    assert "spool_1 has not been heard of" in page
    assert "Usage on host-a waits" in page
    assert "Nothing is wrong" not in page


@pytest.fixture
def _without_valkey(settings: Settings) -> Iterator[None]:
    valkey_clients.sync_client.cache_clear()
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    yield
    valkey_clients.sync_client.cache_clear()


@pytest.mark.usefixtures("_without_valkey")
def test_without_valkey_the_page_says_so_and_shows_what_postgresql_knows(client: Client, hire: Hire) -> None:
    channel()

    page = page_of(client, hire("operations"))

    assert "Valkey does not answer: nothing is known of the present moment." in page
    assert "OpenAI east" in page


def test_the_page_asks_the_database_a_bounded_number_of_times(client: Client, hire: Hire) -> None:
    owner = hire("owner")
    page_of(client, owner)
    with CaptureQueriesContext(connection) as few:
        client.get(INDEX)
    for number in range(60):
        channel(f"channel {number}").credentials.create(name="first", sealed="x")
        GatewayProcess.objects.create(spool=f"spool_{number}", host="a")

    with CaptureQueriesContext(connection) as many:
        page = client.get(INDEX).content.decode()

    assert "All 60 channels" in page
    assert len(many) <= len(few) + 3 <= 20


def test_the_stream_is_for_staff_alone(client: Client, hire: Hire) -> None:
    user = hire("operations")
    user.is_staff = False
    user.save(update_fields=["is_staff"])
    client.force_login(user)

    assert client.get(reverse("operations-live")).status_code == 302
