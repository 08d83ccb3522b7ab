"""Stored responses: who finds them, how long, what lies on the disk, and what a silent store costs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

import psycopg
import pytest
from django.contrib.admin import site
from django.db import connection
from django.utils import timezone
from msgspec import Raw
from pytest_django import Settings

from accounts import expiry, organizations, rooms
from accounts.archive import (
    READERS,
    Archive,
    ArchiveFull,
    ArchiveUnavailable,
    Body,
    Kept,
    Loaders,
)
from accounts.models import Organization, StoredResponse, User
from accounts.stored_responses import TooLate, cancel, delete, expire, find, finish, renew, save
from accounts.tasks import expire_responses
from fastanchor.celery import app
from fastanchor.lib.lanes import MAX_SILENT

SECRET = "the launch code is 0000"
RING = f"one:{'0a' * 32}"


@pytest.fixture(autouse=True)
def _ring(settings: Settings) -> None:
    settings.ARCHIVE_KEYS = RING


def _later() -> float:
    return time.time() + 60


def _kept(organization: Organization, **fields: Any) -> Kept:
    response = {"id": "resp_1", "status": fields.get("status", "completed"), "output": [SECRET]}
    body = Body(Raw(json.dumps(response).encode()), [Raw(b'{"type":"message"}')])
    kept = Kept("resp_1", organization.pk, "key_1", "m", "completed", int(time.time()), body.encode())
    return replace(kept, **fields)


def _running(organization: Organization, **fields: Any) -> Kept:
    return _kept(organization, status="in_progress", is_background=True, **fields)


def test_what_was_kept_is_found_by_its_organization_alone(organization: Organization, cleo: User) -> None:
    kept = _kept(organization)
    save(kept, _later())

    assert find(organization.pk, "resp_1") == kept
    stranger = organizations.of_user(cleo).pk
    assert find(stranger, "resp_1") is None
    assert delete(stranger, "resp_1") is False
    assert cancel(stranger, "resp_1") is None
    assert find(organization.pk, "resp_1") == kept


def test_nothing_that_was_said_lies_readable_in_the_table(organization: Organization) -> None:
    save(_kept(organization), _later())

    with connection.cursor() as cursor:
        cursor.execute("SELECT accounts_storedresponse::text, sealed_body FROM accounts_storedresponse")
        text, sealed = cursor.fetchone()

    assert SECRET not in text
    assert SECRET.encode() not in bytes(sealed)


def test_no_page_of_the_admin_shows_them() -> None:
    assert not site.is_registered(StoredResponse)


def test_a_row_copied_to_another_organization_does_not_open(organization: Organization, cleo: User) -> None:
    save(_kept(organization), _later())
    stranger = organizations.of_user(cleo)

    StoredResponse.objects.update(organization=stranger)

    assert find(stranger.pk, "resp_1") is None


def test_a_response_whose_key_left_the_ring_is_gone_and_one_with_an_older_key_is_not(
    organization: Organization, settings: Settings
) -> None:
    save(_kept(organization), _later())

    settings.ARCHIVE_KEYS = f"two:{'0b' * 32}"
    assert find(organization.pk, "resp_1") is None

    settings.ARCHIVE_KEYS = f"two:{'0b' * 32},{RING}"
    assert find(organization.pk, "resp_1") is not None


def test_an_expired_response_is_not_found_even_before_it_is_deleted(
    organization: Organization, settings: Settings
) -> None:
    settings.RESPONSES_DAYS = 2
    two_days_ago = int(time.time()) - 2 * 86_400
    save(_kept(organization, created_at=two_days_ago - 1), _later())
    save(_kept(organization, id="resp_2", created_at=two_days_ago + 60), _later())

    assert find(organization.pk, "resp_1") is None
    assert find(organization.pk, "resp_2") is not None


def test_expiry_deletes_in_batches_and_can_run_twice(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    for number in range(5):
        save(_kept(organization, id=f"resp_{number}"), _later())
    save(_kept(organization, id="resp_young"), _later())
    StoredResponse.objects.exclude(pk="resp_young").update(expires_at=timezone.now())

    assert expire() == 5
    assert expire() == 0
    assert list(StoredResponse.objects.values_list("pk", flat=True)) == ["resp_young"]


def test_the_task_deletes_what_has_expired(organization: Organization) -> None:
    save(_kept(organization), _later())
    StoredResponse.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    expire_responses()

    assert not StoredResponse.objects.exists()


def test_everything_on_the_schedule_is_a_task(settings: Settings) -> None:
    app.loader.import_default_modules()

    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)


def test_deleting_an_organization_deletes_its_responses(organization: Organization) -> None:
    save(_kept(organization), _later())

    organization.delete()

    assert not StoredResponse.objects.exists()


def test_deleting_is_for_good(organization: Organization) -> None:
    save(_kept(organization), _later())

    assert delete(organization.pk, "resp_1") is True
    assert delete(organization.pk, "resp_1") is False
    assert not StoredResponse.objects.exists()


def test_what_is_written_too_late_is_not_written(organization: Organization) -> None:
    with pytest.raises(TooLate):
        save(_kept(organization), time.time() - 1)

    assert not StoredResponse.objects.exists()


def test_work_in_progress_ends_once(organization: Organization) -> None:
    save(_running(organization), _later())
    done = _kept(organization, is_background=True)

    assert finish(done, _later()) is True
    assert finish(replace(done, status="failed"), _later()) is False
    assert find(organization.pk, "resp_1") == done


def test_cancelled_work_stays_cancelled(organization: Organization) -> None:
    save(_running(organization), _later())

    cancelled = cancel(organization.pk, "resp_1")

    assert cancelled is not None
    assert json.loads(bytes(cancelled.read().response))["status"] == "cancelled"
    assert renew(["resp_1"]) == set()
    assert finish(_kept(organization), _later()) is False
    assert find(organization.pk, "resp_1") == cancelled


def test_only_the_end_of_work_is_announced(
    organization: Organization, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    save(_kept(organization), _later())
    for name in ("resp_2", "resp_3"):
        save(_running(organization, id=name), _later())

    with django_capture_on_commit_callbacks() as announced:
        for name in ("resp_1", "resp_2"):
            delete(organization.pk, name)
        cancel(organization.pk, "resp_3")

    assert [callback.args for callback in announced] == [("resp_2",), ("resp_3",)]


def test_only_background_work_in_progress_is_cancelled(organization: Organization) -> None:
    save(_kept(organization), _later())
    save(_kept(organization, id="resp_2", is_background=True), _later())

    for name in ("resp_1", "resp_2"):
        kept = cancel(organization.pk, name)
        assert kept is not None
        assert kept.status == "completed"


def test_work_whose_process_died_has_failed_and_renewed_work_has_not(organization: Organization) -> None:
    for name in ("resp_1", "resp_2"):
        save(_running(organization, id=name), _later())
    StoredResponse.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    assert renew(["resp_2", "resp_unknown"]) == {"resp_2"}
    dead, alive = find(organization.pk, "resp_1"), find(organization.pk, "resp_2")

    assert dead is not None
    assert alive is not None
    assert (dead.status, alive.status) == ("failed", "in_progress")
    shown = json.loads(bytes(dead.read().response))
    assert (shown["status"], shown["error"]["code"]) == ("failed", "server_error")
    assert find(organization.pk, "resp_1") == dead


@pytest.mark.django_db(transaction=True)
def test_a_locked_table_is_given_up_after_the_wait(settings: Settings, ada: User) -> None:
    settings.ARCHIVE_WAIT_S = 0.2
    organization = organizations.of_user(ada)
    with psycopg.connect(**_address()) as other:
        other.execute("LOCK TABLE accounts_storedresponse IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        with pytest.raises(Exception, match="statement timeout"):
            save(_kept(organization), _later())
        assert time.monotonic() - started < 2

    assert not StoredResponse.objects.exists()


def _address() -> dict[str, Any]:
    values = connection.get_connection_params()
    return {name: values[name] for name in ("dbname", "user", "password", "host", "port") if name in values}


# The door.


async def _nothing(*_: object) -> Any:
    return None


def _archive(load: Callable[..., Awaitable[Any]], **limits: Any) -> Archive:
    return Archive(Loaders(load, load, load, load, load, load), **limits)


async def test_a_store_that_does_not_answer_is_waited_for_no_longer_than_said() -> None:
    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    archive = _archive(never, wait_s=0.05)

    started = time.monotonic()
    with pytest.raises(ArchiveUnavailable):
        await archive.find("org_1", "resp_1")
    assert time.monotonic() - started < 1


async def test_a_store_that_fails_is_unavailable_and_its_words_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails(*_: object) -> None:
        raise ValueError(SECRET)

    with pytest.raises(ArchiveUnavailable):
        await _archive(fails).find("org_1", "resp_1")

    assert "archive.store_failed" in caplog.text
    assert SECRET not in caplog.text


async def test_a_hanging_store_occupies_a_few_threads_and_no_more() -> None:
    asked = 0

    async def never(*_: object) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(60)

    archive = _archive(never, wait_s=0.05)
    results = await asyncio.gather(
        *(archive.find("org_1", "resp_1") for _ in range(20)), return_exceptions=True
    )

    assert all(isinstance(result, ArchiveUnavailable) for result in results)
    assert asked == READERS


async def test_whoever_reads_without_end_keeps_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastanchor.lib.lanes.MAX_OF_ONE", 5)

    async def slow(*_: object) -> None:
        await asyncio.sleep(0.01)

    archive = _archive(slow, wait_s=0.5)
    flood = [asyncio.create_task(archive.find("org_1", "resp_1")) for _ in range(50)]
    await asyncio.sleep(0)

    await archive.find("org_2", "resp_2")
    await archive.keep(Kept("resp_1", "org_1", "key_1", "m", "completed", 0, b"x"))
    results = await asyncio.gather(*flood, return_exceptions=True)

    assert results.count(None) == 5
    assert sum(isinstance(result, ArchiveUnavailable) for result in results) == 45
    await archive.find("org_1", "resp_1")


async def test_while_the_store_keeps_silent_hardly_anyone_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastanchor.lib.lanes.REST_S", 0.3)
    is_silent = True

    async def load(*_: object) -> None:
        if is_silent:
            await asyncio.sleep(0.2)

    archive = _archive(load, wait_s=0.05)
    await asyncio.gather(
        *(archive.find("org_1", "resp_1") for _ in range(MAX_SILENT)), return_exceptions=True
    )

    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(ArchiveUnavailable):
            await archive.find("org_1", "resp_1")
    assert time.monotonic() - started < 0.05

    is_silent = False
    await asyncio.sleep(0.4)
    await archive.find("org_1", "resp_1")


async def test_what_waits_for_the_store_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastanchor.lib.lanes.MAX_WAITING_BYTES", 100)
    kept = Kept("resp_1", "org_1", "key_1", "m", "completed", 0, b"x" * 60)
    archive = _archive(_nothing)

    first, second = await asyncio.gather(archive.keep(kept), archive.keep(kept), return_exceptions=True)
    await archive.keep(kept)

    assert first is None
    assert isinstance(second, ArchiveUnavailable)


def test_an_organization_keeps_no_more_than_its_share(
    organization: Organization, cleo: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = _kept(organization)
    settings.RESPONSES_QUOTA_BYTES = 2 * len(kept.body)
    for name in ("resp_1", "resp_2"):
        save(replace(kept, id=name), _later())

    with pytest.raises(ArchiveFull):
        save(replace(kept, id="resp_3"), _later())
    stranger = organizations.of_user(cleo)
    save(_kept(stranger, id="resp_4"), _later())

    # The count of a process is corrected by what it deletes at once, by what others do after a while.
    assert delete(organization.pk, "resp_1")
    save(replace(kept, id="resp_5"), _later())
    StoredResponse.objects.filter(pk="resp_5").delete()
    with pytest.raises(ArchiveFull):
        save(replace(kept, id="resp_6"), _later())
    monkeypatch.setattr(rooms, "COUNT_EVERY_S", -1)
    save(replace(kept, id="resp_6"), _later())


async def test_a_full_store_is_no_silent_one(organization: Organization) -> None:
    async def full(_kept: Kept, _until: float) -> None:
        raise ArchiveFull

    archive = Archive(Loaders(full, *[AsyncMock()] * 5))

    for _ in range(2 * MAX_SILENT):
        with pytest.raises(ArchiveFull):
            await archive.keep(_kept(organization))
