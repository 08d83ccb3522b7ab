from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import redis.asyncio
from django.conf import settings as project
from django.db import connection, transaction
from pytest_django import Settings

from accounts import announcements, budgets, keys, organizations, people, tokens
from accounts.keyring import Caller, InvalidKey, Keyring
from accounts.models import ApiKey, Organization
from fastanchor.lib.changes import Watch
from fastanchor.lib.valkey import sync_client

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def organization() -> Organization:
    return organizations.of_user(people.ensure_verified(email="ada@example.com"))


class Elsewhere:
    """A gateway's keyring in a thread and an event loop of its own, with a real watch and a real loader."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loaders = ThreadPoolExecutor(1)
        self.ring = Keyring(self._load, tokens.parse_peppers(project.API_KEY_PEPPERS))
        self.is_listening = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self.is_listening.wait(5)

    async def _load(self, digests: list[bytes]) -> Caller | None:
        return await self.loop.run_in_executor(self.loaders, keys.load_caller, digests)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self._watch())
        self.loop.close()

    async def _watch(self) -> None:
        async def hear(message: str | None) -> None:
            await self.ring.hear(message)
            self.is_listening.set()

        self._task = asyncio.current_task()
        async with redis.asyncio.Redis.from_url(os.environ["REDIS_URL"]) as client:
            await Watch(client, {announcements.TOPIC: hear}).run()

    def opens(self, secret: str) -> Caller:
        return asyncio.run_coroutine_threadsafe(self.ring.caller(secret), self.loop).result(5)

    def stop(self) -> None:
        assert self._task is not None
        self.loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)
        self.loaders.submit(lambda: connection.close()).result(5)  # noqa: PLW0108 - of that thread
        self.loaders.shutdown()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    place = Elsewhere()
    yield place
    place.stop()


def within_a_second(holds: Callable[[], bool]) -> bool:
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        if holds():
            return True
        time.sleep(0.01)
    return False


def is_refused(place: Elsewhere, secret: str) -> bool:
    try:
        place.opens(secret)
    except InvalidKey as refusal:
        return refusal.reason == "revoked"
    return False


def test_a_revoked_key_is_refused_elsewhere_within_a_second(
    organization: Organization, elsewhere: Elsewhere
) -> None:
    key, secret = keys.create(organization=organization, name="k")
    other, other_secret = keys.create(organization=organization, name="other")
    assert elsewhere.opens(secret).key_id == key.pk
    assert elsewhere.opens(other_secret).key_id == other.pk

    keys.revoke(key=key, by=None)

    assert within_a_second(lambda: is_refused(elsewhere, secret))
    assert elsewhere.opens(other_secret).key_id == other.pk


def test_a_lost_message_delays_the_refusal_but_not_beyond_a_second(
    organization: Organization, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = keys.create(organization=organization, name="k")
    elsewhere.opens(secret)
    monkeypatch.setattr(redis.Redis, "publish", lambda *_: 0)

    keys.revoke(key=key, by=None)

    assert within_a_second(lambda: is_refused(elsewhere, secret))


def test_another_plan_is_in_force_elsewhere_within_a_second(
    organization: Organization, elsewhere: Elsewhere
) -> None:
    _, secret = keys.create(organization=organization, name="k")
    assert elsewhere.opens(secret).plan == "free"

    organizations.change_plan(organization=organization, plan_code="payg", by=None)

    assert within_a_second(lambda: elsewhere.opens(secret).requests_per_minute == 500)


def test_a_changed_budget_is_in_force_elsewhere_within_a_second(
    organization: Organization, elsewhere: Elsewhere
) -> None:
    owner = organization.members.get()
    key, secret = keys.create(organization=organization, name="k", created_by=owner)
    assert elsewhere.opens(secret).budgets == ()

    budgets.set_organization(organization=organization, by=owner, budget_day_nano=5)
    assert within_a_second(lambda: elsewhere.opens(secret).budgets == (organization.pk, "day", 5))
    budgets.set_member(membership=organization.memberships.get(), by=owner, budget_week_nano=4)
    assert within_a_second(lambda: elsewhere.opens(secret).member == f"user_{owner.pk}")
    keys.update_limits(key=key, by=owner, budget_total_nano=3)

    of_all = (key.pk, "lifetime", 3, f"user_{owner.pk}", "week", 4, organization.pk, "day", 5)
    assert within_a_second(lambda: elsewhere.opens(secret).budgets == of_all)


def test_nothing_is_announced_before_the_commit_or_after_a_rollback(organization: Organization) -> None:
    key, _ = keys.create(organization=organization, name="k")
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            keys.revoke(key=key, by=None)
            raise ZeroDivisionError
        assert client.get("fa:changes:keys") is None

        with transaction.atomic():
            keys.revoke(key=key, by=None)
            assert client.get("fa:changes:keys") is None
        assert client.get("fa:changes:keys") == b"1"


@pytest.fixture
def nobody_answers(settings: Settings) -> Iterator[None]:
    """Point this process at a port that nobody listens on."""
    with socket.socket() as bound_only:
        bound_only.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{bound_only.getsockname()[1]}"
        sync_client.cache_clear()
        yield
    sync_client.cache_clear()


def test_a_revocation_stands_while_valkey_is_away(
    organization: Organization, nobody_answers: None, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = keys.create(organization=organization, name="k")

    with caplog.at_level(logging.ERROR):
        keys.revoke(key=key, by=None)

    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
    assert "accounts.announcement_lost" in caplog.messages
