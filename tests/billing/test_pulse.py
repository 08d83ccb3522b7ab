"""What is told of the last minutes is what ended in them."""

from __future__ import annotations

import time

import pytest
import redis

from accounts.models import Organization
from billing import pulse, tally
from billing.spool import Usage
from fastanchor.lib.valkey import sync_client
from tests.billing.cast import make_organization, usage

pytestmark = pytest.mark.django_db
NOW = time.time() // pulse.SLOT_S * pulse.SLOT_S + 5


@pytest.fixture
def valkey() -> redis.Redis:
    client = sync_client()
    client.flushdb()
    return client


def ended(organization: Organization, seconds_ago: float, **changes: object) -> Usage:
    at_ms = int((NOW - seconds_ago) * 1_000)
    return usage(
        organization, **{"started_at_ms": at_ms - 700, "finished_at_ms": at_ms, "cost_nano": 5_000, **changes}
    )


def count(client: redis.Redis, *usages: Usage) -> pulse.Pulse:
    pipeline = client.pipeline(transaction=False)
    pulse.write(pipeline, usages, now=NOW)
    pipeline.execute()
    return pulse.read(client, now=NOW)


def test_a_minute_is_what_ended_in_it(valkey: redis.Redis) -> None:
    acme = make_organization()

    found = count(valkey, ended(acme, 30), ended(acme, 40), ended(acme, 200), ended(acme, 3_000))

    assert (found.last(60).requests, found.last(60).cost_nano) == (2, 10_000)
    assert found.last(600).requests == 3
    assert found.today.requests == 4 or NOW % 86_400 < 3_000


def test_a_failure_of_ours_is_told_by_channel_and_that_of_a_customers_own_key_is_not_ours(
    valkey: redis.Redis,
) -> None:
    acme = make_organization()
    failed = {"outcome": "failed", "status": 502, "cost_nano": 0, "cost_picos": 0, "first_token_ms": -1}

    found = count(
        valkey,
        ended(acme, 30, channel_id="chan_east"),
        ended(acme, 30, channel_id="chan_west", **failed),
        ended(acme, 30, channel_id="chan_own", is_own_key=True, **failed),
    ).last(60)

    assert (found.requests, found.failed) == (3, 1)
    assert found.failed_by_channel["chan_west"] == 1
    assert found.failed_by_channel["chan_east"] == 0


def test_durations_are_told_as_quantiles(valkey: redis.Redis) -> None:
    acme = make_organization()
    slow = {"is_stream": True, "first_token_ms": 4_000}

    found = count(
        valkey,
        *(ended(acme, 30, is_stream=True, first_token_ms=100) for _ in range(9)),
        ended(acme, 30, **slow),
    )

    assert 100 <= (found.last(60).first_token_ms(50) or 0) <= 125
    assert 4_000 <= (found.last(60).first_token_ms(95) or 0) <= 5_000
    assert 700 <= (found.last(60).whole_ms(50) or 0) <= 875


def test_the_shipper_counts_and_what_it_wrote_is_forgotten_by_itself(valkey: redis.Redis) -> None:
    acme = make_organization()
    now_ms = time.time_ns() // 1_000_000

    tally.add(valkey, "host-a", [usage(acme, started_at_ms=now_ms - 900, finished_at_ms=now_ms - 100)])

    keys = valkey.keys("fa:pulse:*")
    assert len(keys) == 2
    assert all(0 < valkey.ttl(key) <= 2 * 24 * 3_600 for key in keys)


def test_a_shipper_tells_how_long_its_oldest_record_waits(valkey: redis.Redis) -> None:
    acme = make_organization()
    now_ms = time.time_ns() // 1_000_000

    tally.wait(valkey, "host-a", [usage(acme, finished_at_ms=now_ms - 30_000)])
    tally.wait(valkey, "host-b", [])

    stuck, idle = tally.waiting(valkey)
    assert (stuck.host, idle.host) == ("host-a", "host-b")
    assert 30 <= stuck.waiting_s < 60
    assert idle.waiting_s == 0
