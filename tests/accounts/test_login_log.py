"""Who logs in, and who is refused, stands in the log: by number and address, never by what was typed."""

from __future__ import annotations

import logging

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts import people
from accounts.models import User

PASSWORD = "a long password of ada"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


@pytest.fixture
def ada(db: None) -> User:
    return people.ensure_verified(email="ada@example.com", password=PASSWORD)


def post(login: str, password: str) -> None:
    told = {"login": login, "password": password}
    Client().post(reverse("account_login"), told, REMOTE_ADDR="192.0.2.7")


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    names = ("why", "factors", "user", "address")
    return [
        (record.message, *(getattr(record, name) for name in names if hasattr(record, name)))
        for record in caplog.records
        if record.name == "accounts.login_log"
    ]


def test_a_login_is_written_down_with_what_it_took(ada: User, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        post(ada.email, PASSWORD)

    assert told(caplog) == [("accounts.logged_in", "password", ada.pk, "192.0.2.7")]


def test_a_refused_one_names_the_account_and_nothing_that_was_typed(
    ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    post(ada.email, "wrong-7391")
    post("typed-into-the-wrong-field-7391@example.com", "wrong")

    assert told(caplog) == [
        ("accounts.login_refused", "password", ada.pk, "192.0.2.7"),
        ("accounts.login_refused", "password", "192.0.2.7"),
    ]
    assert "7391" not in str(
        [vars(record) for record in caplog.records if record.name == "accounts.login_log"]
    )


def test_too_many_tries_are_written_down_as_such(ada: User, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(12):
        post(ada.email, "wrong")

    assert told(caplog)[-1] == ("accounts.login_refused", "too many tries", ada.pk, "192.0.2.7")
