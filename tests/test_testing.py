from __future__ import annotations

import os

import redis
from django.conf import settings
from django.db import connection


def test_the_tests_run_on_a_real_postgresql(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW fsync")

        assert cursor.fetchone() == ("off",)


def test_the_tests_run_on_a_real_valkey_that_forgets() -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_nothing_of_the_test_before_is_left_in_valkey() -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        assert client.dbsize() == 0


def test_the_developers_own_provider_keys_never_reach_a_test() -> None:
    assert "OPENAI_API_KEY" not in os.environ
