from __future__ import annotations

import os

import redis
from django.conf import settings
from django.db import connection

from tests.live.product import Desk


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


def test_an_answer_that_nobody_waits_for_any_more_is_not_taken_for_the_next() -> None:
    desk = Desk({**os.environ, "DJANGO_SETTINGS_MODULE": "fastanchor.settings"})
    stdin = desk._process.stdin
    assert stdin is not None
    try:
        # As a test leaves it that was stopped while it waited.
        stdin.write('{"id": -1, "arguments": ["diffsettings"]}\n')

        assert "System check" in desk.run("check")
        assert "INSTALLED_APPS" in desk.run("diffsettings")
    finally:
        desk.close()


def test_the_developers_own_provider_keys_never_reach_a_test() -> None:
    assert "OPENAI_API_KEY" not in os.environ
