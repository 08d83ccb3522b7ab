"""What tests of every area need of the database."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.db.backends.postgresql.operations import DatabaseOperations
from django.http import HttpRequest
from django.test import Client
from hypothesis import settings as hypothesis_settings
from psycopg import sql

from accounts.models import LegalDocument, LegalVersion, Plan
from accounts.plans import add_missing_plans
from accounts.session_store import SessionStore
from tests.live.product import template_name

# How long an example takes says more about what else the machine does than about the code.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the proofs about money run in full, or with another seed than the suite's."""
    parser.addoption("--full", action="store_true", help="Run long proofs in full: minutes, not seconds.")
    parser.addoption("--seed", type=int, help="The seed of proofs that draw; -1 draws one, too.")


@pytest.fixture
def is_full(request: pytest.FixtureRequest) -> bool:
    """Tell whether a proof that has a short form shall run in full."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return what a proof that draws begins with; a failing test shows it."""
    wanted: int | None = request.config.getoption("--seed")
    return secrets.randbelow(1_000_000) if wanted == -1 else 1 if wanted is None else wanted


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave no template behind on a server that is not thrown away."""
    if not hasattr(session.config, "workerinput"):
        name = template_name(os.environ["FASTANCHOR_SECRET_KEY"])
        drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(drop)


# Filled by a migration; a test that revises them rolls back.
_LEGAL = {LegalDocument._meta.db_table, LegalVersion._meta.db_table}


@pytest.fixture(autouse=True, scope="session")
def _flush_past_the_guards() -> Iterator[None]:
    """Let the test runner, and nobody else, empty append-only tables; afterwards the plans are there again.

    Rows are deleted, which for few of them takes a fourth of the time of truncating so many tables.
    """
    flush = DatabaseOperations.execute_sql_flush

    def unguarded(operations: DatabaseOperations, sql_list: list[str]) -> None:
        tables = set(re.findall(r'"(\w+)"', " ".join(sql_list))) - _LEGAL
        deletions = "; ".join(f'DELETE FROM "{table}"' for table in tables)
        flush(operations, ["SET LOCAL session_replication_role = replica", deletions])
        add_missing_plans(Plan)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", unguarded)
        yield


@pytest.fixture(autouse=True, scope="session")
def _clients_hold_tokens() -> Iterator[None]:
    """Let Django's client, which takes a session's key for what the cookie holds, put the token there."""

    def session(client: Client) -> SessionStore:
        cookie = client.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie:
            return SessionStore.of_token(cookie.value)
        fresh = SessionStore()
        fresh.save()
        client.cookies[settings.SESSION_COOKIE_NAME] = fresh.token
        return fresh

    def keep(client: Client, request: HttpRequest) -> None:
        assert isinstance(request.session, SessionStore)
        client.cookies[settings.SESSION_COOKIE_NAME] = request.session.token

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "session", property(session))
        patch.setattr(Client, "_set_login_cookies", keep)
        yield
