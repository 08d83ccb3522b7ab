"""What Prometheus reads of the product."""

from __future__ import annotations

import json
import time
from unittest.mock import patch

import pytest
import redis
from django.db import OperationalError
from django.test import Client, override_settings
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from billing import tally
from billing.models import Admission, DegradedHold, GatewayProcess
from catalog.models import Channel, Provider
from fastanchor import channel_reports
from fastanchor.lib.valkey import sync_client
from tests.billing.cast import make_organization, usage

TOKEN = "t" * 32
HEADERS = {"authorization": f"Bearer {TOKEN}"}
Samples = dict[tuple[str, frozenset[str]], float]


@pytest.fixture(autouse=True)
def _token(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


@pytest.fixture
def valkey() -> redis.Redis:
    return sync_client()


def _read(client: Client) -> Samples:
    response = client.get("/metrics", headers=HEADERS)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def _of(*labels: str) -> frozenset[str]:
    return frozenset(labels)


@pytest.mark.parametrize("sent", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}])
def test_nobody_without_the_token_learns_that_there_is_anything(
    db: None, client: Client, sent: dict[str, str]
) -> None:
    assert client.get("/metrics", headers=sent).status_code == 404


def test_without_a_token_set_an_empty_one_opens_nothing(db: None, client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""

    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404


def test_settled_requests_are_summed_by_provider_and_outcome(
    db: None, client: Client, valkey: redis.Redis
) -> None:
    organization = make_organization()
    served = [usage(organization) for _ in range(3)]
    failed = usage(organization, outcome="failed", status=503, cost_nano=0, attempts=3)
    tally.add(valkey, "host_1", [*served, failed])
    tally.add(valkey, "host_1", served[:1])

    found = _read(client)

    good, bad = _of("openai", "completed", "200"), _of("openai", "failed", "503")
    assert found["fastanchor_requests_total", good] == 4
    assert found["fastanchor_requests_total", bad] == 1
    assert found["fastanchor_attempts_total", bad] == 3
    assert found["fastanchor_cost_nano_total", good] == 4 * 1_000
    assert found["fastanchor_output_tokens_total", good] == 4 * served[0].output_tokens
    assert found["fastanchor_settle_lag_seconds", _of("host_1")] > 0


def test_a_host_that_is_gone_lags_no_longer(db: None, client: Client, valkey: redis.Redis) -> None:
    valkey.hset(tally.SHIPPERS, "host_old", json.dumps([9.5, time.time() - tally.FRESH_S - 1]))

    assert ("fastanchor_settle_lag_seconds", _of("host_old")) not in _read(client)
    assert valkey.hkeys(tally.SHIPPERS) == []


def test_channels_show_how_they_fare(db: None, client: Client, valkey: redis.Redis) -> None:
    acme = Provider.objects.create(slug="acme", name="Acme")
    channel = Channel.objects.create(provider=acme, name="east", base_url="https://api.acme.example/v1")
    report = {
        "at": time.time(),
        "channels": {channel.pk: [9, 1, 0.1, 0.25, 1.5, 7, 4.0], "chan_gone": [1] * 7},
    }
    valkey.hset(channel_reports.KEY, "proc_1", json.dumps(report))

    found = _read(client)

    whose = _of(channel.pk, "acme")
    assert found["fastanchor_channel_errors_ratio", whose] == pytest.approx(0.1)
    assert found["fastanchor_channel_running", whose] == 7
    assert found["fastanchor_channel_pause_seconds", whose] == 4
    assert not any("chan_gone" in labels for _, labels in found)


def test_postgresql_standing_in_for_valkey_is_seen(db: None, client: Client) -> None:
    assert _read(client)["fastanchor_degraded", _of()] == 0
    Admission.objects.update_or_create(pk=1, defaults={"is_degraded": True})
    GatewayProcess.objects.create(
        spool="gateway_1", host="host_1", valkey_answers=False, placed=12, refused=3
    )
    DegradedHold.objects.create(request_id="req_1", organization_id="org_1", amount_nano=5, spool="gateway_1")

    found = _read(client)

    process = _of("host_1", "gateway_1")
    assert (found["fastanchor_degraded", _of()], found["fastanchor_degraded_holds", _of()]) == (1, 1)
    assert found["fastanchor_holds_placed_in_postgresql_total", process] == 12
    assert found["fastanchor_requests_undecided_total", process] == 3
    assert found["fastanchor_process_reaches_valkey", process] == 0


def test_a_store_that_is_away_is_told_and_the_other_is_read(db: None, client: Client) -> None:
    report = {"at": time.time(), "channels": {"chan_1": [9, 1, 0.1, 0.25, 1.5, 7, 4.0]}}
    sync_client().hset(channel_reports.KEY, "proc_1", json.dumps(report))
    with patch("billing.tally.read", side_effect=redis.ConnectionError):
        without_valkey = _read(client)
    with patch("django.db.backends.utils.CursorWrapper.execute", side_effect=OperationalError):
        without_postgresql = _read(client)

    assert without_valkey["fastanchor_store_up", _of("valkey")] == 0
    assert without_valkey["fastanchor_store_up", _of("postgresql")] == 1
    assert ("fastanchor_degraded", _of()) in without_valkey
    assert without_postgresql["fastanchor_store_up", _of("postgresql")] == 0
    assert ("fastanchor_degraded", _of()) not in without_postgresql


def test_who_scrapes_by_address_is_answered(db: None, client: Client) -> None:
    with override_settings(ALLOWED_HOSTS=["gateway.example"], SECURE_SSL_REDIRECT=True):
        response = client.get("/metrics", headers={**HEADERS, "host": "10.0.0.7"})

    assert response.status_code == 200
    assert response.headers["cache-control"].startswith("max-age=0, no-cache")
