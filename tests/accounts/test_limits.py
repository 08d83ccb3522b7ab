"""Sign-ups, log-ins and resets are slowed down, by all processes together."""

from __future__ import annotations

import os

import pytest
import redis
from django.core.cache import cache, caches
from django.core.cache.backends.redis import RedisCache
from django.test import Client
from django.urls import reverse

from accounts.models import User


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


def test_the_limits_are_kept_where_every_process_sees_them(client: Client, ada: User) -> None:
    assert isinstance(caches["default"], RedisCache)

    client.post(reverse("account_login"), {"login": ada.email, "password": "wrong"})

    with redis.Redis.from_url(os.environ["REDIS_URL"]) as valkey:
        kept = [key for key in valkey.scan_iter("cache:*") if b"rl" in key]
    assert kept


@pytest.mark.parametrize(
    ("name", "form", "most"),
    [
        ("account_signup", {"email": "new{number}@example.com", "password1": "short"}, 20),
        ("account_reset_password", {"email": "new{number}@example.com"}, 20),
        ("account_login", {"login": "new{number}@example.com", "password": "wrong"}, 10),
    ],
)
def test_one_address_may_try_only_so_often_in_a_minute(
    client: Client, db: None, name: str, form: dict[str, str], most: int
) -> None:
    def post(number: int, address: str) -> int:
        filled = {field: value.format(number=number) for field, value in form.items()}
        answer = client.post(reverse(name), filled, REMOTE_ADDR=address)
        text = answer.content.decode()
        return 429 if answer.status_code == 429 or "Too many failed" in text else answer.status_code

    answers = [post(number, "192.0.2.1") for number in range(most + 2)]

    assert 429 not in answers[: most - 1]
    assert answers[-1] == 429
    assert post(99, "192.0.2.2") != 429


def test_guesses_at_one_account_from_many_addresses_are_slowed_down(client: Client, ada: User) -> None:
    ada.set_password("a long password")
    ada.save()
    for number in range(6):
        wrong = {"login": ada.email, "password": "wrong"}
        client.post(reverse("account_login"), wrong, REMOTE_ADDR=f"192.0.2.{number}")

    client.post(
        reverse("account_login"),
        {"login": ada.email, "password": "a long password"},
        REMOTE_ADDR="192.0.2.99",
    )

    assert "_auth_user_id" not in client.session
