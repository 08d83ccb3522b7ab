"""The live tail of the log, against the shipper's own messages."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar, cast

import msgspec
import pytest
from django.db import connection
from django.test import Client

from accounts import keys, organizations, people
from accounts.models import ApiKey, Organization
from billing.selection import Ending, Selection
from fastanchor import tail
from fastanchor.feeds import Frame, Pace, tabs
from fastanchor.live import Viewer
from fastanchor.tail import Tails
from tests.pages.usage import serve

T = TypeVar("T")

pytestmark = pytest.mark.django_db(transaction=True)

PATIENT = Pace(least_gap_s=0.02, heartbeat_s=30, recheck_s=60)
DISTRUSTFUL = Pace(least_gap_s=0.02, heartbeat_s=0.2, recheck_s=0)


@pytest.fixture
def browser(client: Client, transactional_db: None) -> Client:
    client.force_login(people.ensure_verified(email="ada@example.com"))
    return client


@pytest.fixture
def organization(browser: Client) -> Organization:
    return organizations.of_user(people.ensure_verified(email="ada@example.com"))


@pytest.fixture
def key(organization: Organization) -> ApiKey:
    return keys.create(organization=organization, name="Laptop")[0]


class OpenLog:
    """An open log that is followed."""

    def __init__(self, viewer: Viewer, selection: Selection, pace: Pace) -> None:
        self.hub = Tails(pace)
        self.seen = ""
        self._stream = cast("AsyncGenerator[bytes]", tail.events(viewer, selection, self.hub))

    async def sees(self, text: str) -> bool:
        """Read until an event contains ``text``; false when the stream ends before."""
        async with asyncio.timeout(20):
            async for chunk in self._stream:
                self.seen += chunk.decode()
                if text in chunk.decode():
                    return True
        return False

    async def close(self) -> None:
        await self._stream.aclose()
        await self.hub.closed()


Follow = Callable[..., OpenLog]


@pytest.fixture
async def follow(browser: Client, organization: Organization) -> AsyncIterator[Follow]:
    opened: list[OpenLog] = []

    def open_one(selection: Selection = Selection(), pace: Pace = PATIENT) -> OpenLog:  # noqa: B008
        viewer = Viewer(str(browser.session.session_key), organization)
        opened.append(OpenLog(viewer, selection, pace))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()
    assert not tabs


async def aside(call: Callable[[], T]) -> T:
    """Use the database beside the event loop, as another process would."""

    def work() -> T:
        try:
            return call()
        finally:
            connection.close()

    return await asyncio.to_thread(work)


async def test_only_what_meets_the_filters_arrives(
    follow: Follow, organization: Organization, key: ApiKey
) -> None:
    open_log = follow(Selection(model_id="o3", ending=Ending.OK))
    earlier = await aside(lambda: serve(organization, key, model_id="o3"))
    assert await open_log.sees(earlier.request_id)

    other = await aside(lambda: serve(organization, key))
    failed = await aside(
        lambda: serve(organization, key, model_id="o3", status=502, outcome="free", cost_nano=0, cost_picos=0)
    )
    wanted = await aside(lambda: serve(organization, key, model_id="o3"))

    assert await open_log.sees(wanted.request_id)
    assert other.request_id not in open_log.seen
    assert failed.request_id not in open_log.seen
    assert open_log.seen.count(f'id="{earlier.request_id}"') == 1


async def test_a_request_that_took_long_is_not_missed_among_newer_ones(
    follow: Follow, organization: Organization, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_NEWEST", 1)
    open_log = follow()
    newer = await aside(lambda: serve(organization, key))
    assert await open_log.sees(newer.request_id)

    long = await aside(lambda: serve(organization, key, started_at_ms=newer.started_at_ms - 300_000))

    assert await open_log.sees(long.request_id)


async def test_what_is_told_while_the_thread_takes_what_was_told_before_is_not_lost(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, told = Tails(PATIENT), [f"req_{number}" for number in range(5_000)]
    taken, is_over = set[str](), threading.Event()
    monkeypatch.setattr(hub, "render", lambda _: Frame((), ()))
    monkeypatch.setattr(tail, "_HEARD", len(told))

    def take() -> None:
        while not is_over.is_set() or hub._heard:
            taken.update(hub._heard.pop(organization.pk, []))

    async with hub.watching(organization):
        with ThreadPoolExecutor(1) as pool, switching_often():
            taking = pool.submit(take)
            for request_id in told:
                hub.wake(organization.pk, msgspec.json.encode([request_id]))
            is_over.set()
        taking.result()
    await hub.closed()

    assert taken == set(told)


@contextmanager
def switching_often() -> Iterator[None]:
    """Let threads take turns a thousand times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 1_000)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


async def test_requests_of_others_never_arrive(
    follow: Follow, organization: Organization, key: ApiKey
) -> None:
    open_log = follow()
    first = await aside(lambda: serve(organization, key))
    assert await open_log.sees(first.request_id)
    cleo = await aside(lambda: organizations.of_user(people.ensure_verified(email="cleo@example.com")))

    strange = await aside(lambda: serve(cleo, key))
    own = await aside(lambda: serve(organization, key))

    assert await open_log.sees(own.request_id)
    assert strange.request_id not in open_log.seen
    assert cleo.pk not in open_log.hub.records


async def test_only_so_many_are_kept(
    follow: Follow, organization: Organization, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "KEPT", 3)
    open_log = follow()
    served = await aside(lambda: [serve(organization, key) for _ in range(6)])
    assert await open_log.sees(served[-1].request_id)

    last = await aside(lambda: serve(organization, key))

    assert await open_log.sees(last.request_id)
    assert len(open_log.hub.records[organization.pk]) == 3


async def test_who_is_signed_out_sees_no_more(browser: Client, follow: Follow, key: ApiKey) -> None:
    open_log = follow(pace=DISTRUSTFUL)

    await aside(browser.logout)

    assert await open_log.sees("event: end")
