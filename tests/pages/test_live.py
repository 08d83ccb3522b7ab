from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts import keys, organizations, people
from accounts.models import ApiKey, Membership, Organization
from billing import topups
from fastanchor import feeds, live
from fastanchor.feeds import Frame, Hub, Pace
from fastanchor.lib.valkey import sync_client
from fastanchor.live import Viewer, events
from tests.pages.usage import serve

T = TypeVar("T")

pytestmark = pytest.mark.django_db(transaction=True)

# So slow that what arrives has arrived by a message, and so quick that what needs no message comes soon.
PATIENT = Pace(least_gap_s=0.02, heartbeat_s=30, recheck_s=60)
QUICK = Pace(least_gap_s=0.02, heartbeat_s=0.2, recheck_s=60)
DISTRUSTFUL = Pace(least_gap_s=0.02, heartbeat_s=0.2, recheck_s=0)


class Tab:
    """One open dashboard."""

    def __init__(self, viewer: Viewer, hub: Hub) -> None:
        self._stream = events(viewer, hub)
        self.seen = ""

    async def sees(self, text: str, *, within_s: float = 2.0) -> bool:
        """Read until an event contains ``text``; false when the stream ends before."""
        async with asyncio.timeout(within_s):
            async for chunk in self._stream:
                self.seen += chunk.decode()
                if text in chunk.decode():
                    return True
        return False

    async def close(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]  # a generator's, which the iterator hides


class Desk:
    """Opens tabs at one hub and counts how often it renders."""

    def __init__(self, viewer: Viewer) -> None:
        self.renders = 0
        self._viewer = viewer
        self._hubs: list[Hub] = []
        self._tabs: list[Tab] = []

    async def open(self, pace: Pace = PATIENT, *, tabs: int = 1) -> list[Tab]:
        """Return tabs that show everything there is now."""
        hub = Hub(self._render, pace)
        opened = [Tab(self._viewer, hub) for _ in range(tabs)]
        self._hubs.append(hub)
        self._tabs += opened
        for tab in opened:
            await tab.sees("event: section")
        return opened

    def _render(self, organization: Organization) -> Frame:
        self.renders += 1
        return live.render(organization)

    async def end(self) -> None:
        for hub in self._hubs:
            await hub.end()

    async def close(self) -> None:
        for tab in self._tabs:
            await tab.close()
        for hub in self._hubs:
            await hub.closed()


@pytest.fixture
def browser(client: Client, transactional_db: None) -> Client:
    """Return Django's client with ada logged in."""
    client.force_login(people.ensure_verified(email="ada@example.com"))
    return client


@pytest.fixture
def organization(browser: Client) -> Organization:
    return organizations.of_user(people.ensure_verified(email="ada@example.com"))


@pytest.fixture
def key(organization: Organization) -> ApiKey:
    return keys.create(organization=organization, name="Laptop")[0]


@pytest.fixture
async def desk(browser: Client, organization: Organization) -> AsyncIterator[Desk]:
    desk = Desk(Viewer(str(browser.session.session_key), organization))
    yield desk
    await desk.close()


async def aside(call: Callable[[], T]) -> T:
    """Use the database beside the event loop, as another process would."""

    def work() -> T:
        try:
            return call()
        finally:
            connection.close()

    return await asyncio.to_thread(work)


async def test_a_settled_request_arrives_within_two_seconds_with_its_exact_cost(
    desk: Desk, organization: Organization, key: ApiKey
) -> None:
    [tab] = await desk.open()

    usage = await aside(lambda: serve(organization, key))

    assert await tab.sees(f'id="{usage.request_id}"')
    assert '$0.000347<span class="money-rest">500</span>' in tab.seen


async def test_the_numbers_of_today_come_with_it(desk: Desk, organization: Organization, key: ApiKey) -> None:
    [tab] = await desk.open()

    await aside(lambda: serve(organization, key))

    assert await tab.sees('id="today"')
    assert "1\u202f200 in, 34 out" in tab.seen


async def test_a_top_up_shows_without_any_message(desk: Desk, organization: Organization) -> None:
    [tab] = await desk.open(QUICK)

    await aside(
        lambda: topups.record_top_up(organization=organization, cents=1_234, key="invoice-1", actor="test")
    )

    assert await tab.sees("$12.34")


async def test_nothing_is_sent_twice(desk: Desk, organization: Organization, key: ApiKey) -> None:
    [tab] = await desk.open()
    first = await aside(lambda: serve(organization, key))
    await tab.sees(first.request_id)
    second = await aside(lambda: serve(organization, key))

    await tab.sees(second.request_id)

    assert tab.seen.count(f'id="{first.request_id}"') == 1
    assert tab.seen.count('id="balance"') == 3


async def test_requests_of_others_never_arrive(desk: Desk, organization: Organization, key: ApiKey) -> None:
    [tab] = await desk.open()
    cleo = await aside(lambda: organizations.of_user(people.ensure_verified(email="cleo@example.com")))

    strange = await aside(lambda: serve(cleo, key))
    own = await aside(lambda: serve(organization, key))

    assert await tab.sees(own.request_id)
    assert strange.request_id not in tab.seen


async def test_all_tabs_of_an_organization_share_one_render(
    desk: Desk, organization: Organization, key: ApiKey
) -> None:
    tabs = await desk.open(tabs=3)

    usage = await aside(lambda: serve(organization, key))

    assert [await tab.sees(usage.request_id) for tab in tabs] == [True, True, True]
    assert desk.renders == 2


async def test_a_burst_is_gathered(desk: Desk, organization: Organization, key: ApiKey) -> None:
    [tab] = await desk.open(Pace(least_gap_s=0.3, heartbeat_s=30, recheck_s=60))
    begun = time.monotonic()

    served = await aside(lambda: [serve(organization, key) for _ in range(30)])

    assert await tab.sees(served[-1].request_id)
    # The first at once, and the last within a gap that has just begun.
    assert desk.renders <= 2 + (time.monotonic() - begun) / 0.3
    assert desk.renders < 30


async def test_a_tab_that_does_not_read_skips_what_it_cannot_show_any_more(
    desk: Desk, organization: Organization, key: ApiKey
) -> None:
    [slow, quick] = await desk.open(tabs=2)
    served = await aside(lambda: [serve(organization, key) for _ in range(60)])
    await quick.sees(served[-1].request_id)

    await slow.sees(served[-1].request_id)

    assert slow.seen.count('<tr class="request"') == 50
    assert served[0].request_id not in slow.seen


async def test_a_quiet_stream_gives_signs_of_life(desk: Desk) -> None:
    [tab] = await desk.open(QUICK)

    assert await tab.sees(": still here")


async def test_a_lost_subscription_is_made_again(desk: Desk, organization: Organization, key: ApiKey) -> None:
    [tab] = await desk.open()
    await aside(_cut_subscriptions)
    await asyncio.sleep(1)

    usage = await aside(lambda: serve(organization, key))

    assert await tab.sees(usage.request_id)


def _cut_subscriptions() -> None:
    client = sync_client()
    # Only the live pages subscribe to a pattern.
    for one in client.client_list(_type="pubsub"):
        if one["psub"] != "0":
            client.client_kill_filter(_id=one["id"])


async def test_a_stream_ends_when_its_viewer_logs_out(desk: Desk, browser: Client) -> None:
    [tab] = await desk.open(DISTRUSTFUL)

    await aside(browser.logout)

    assert await tab.sees("event: end")
    assert not await tab.sees("anything more")


async def test_a_stream_ends_when_its_viewer_leaves_the_organization(
    desk: Desk, organization: Organization
) -> None:
    [tab] = await desk.open(DISTRUSTFUL)

    await aside(lambda: Membership.objects.filter(organization=organization).delete())

    assert await tab.sees("event: end")


async def test_a_stream_stays_as_long_as_its_viewer_may_watch(desk: Desk) -> None:
    [tab] = await desk.open(DISTRUSTFUL)

    with pytest.raises(TimeoutError):
        await tab.sees("event: end", within_s=1)


async def test_a_server_that_stops_ends_every_stream(desk: Desk) -> None:
    tabs = await desk.open(tabs=2)

    await desk.end()

    assert [await tab.sees("anything more") for tab in tabs] == [False, False]


async def test_a_closed_tab_leaves_no_thread_no_connection_and_no_count(
    desk: Desk, organization: Organization
) -> None:
    await desk.open(tabs=2)
    assert feeds.tabs[organization.pk] == 2

    await desk.close()

    assert feeds.tabs == {}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("live")]
    assert await aside(_other_connections) == 1


async def test_a_hub_rests_when_its_last_tab_closes_though_another_watches_the_same_organization(
    organization: Organization,
) -> None:
    overviews, logs = Hub(live.render, PATIENT), Hub(live.render, PATIENT)

    async with logs.watching(organization):
        async with overviews.watching(organization):
            assert feeds.tabs[organization.pk] == 2
        async with asyncio.timeout(5):
            await overviews.closed()
        running = [task.get_name() for task in asyncio.all_tasks()]
        still_counted = feeds.tabs[organization.pk]
    await logs.closed()

    assert running.count(f"live-feed-{organization.pk}") == 1
    assert still_counted == 1
    assert feeds.tabs == {}


def _other_connections() -> int:
    """Count the connections to this database besides the one that asks; the test run has one itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("text", ["a\nb", "a\r\nevent: end\r\rb", "a\u2028b", ""])
def test_no_text_can_break_out_of_its_event(text: str) -> None:
    lines = live.event("rows", text).decode().split("\n")

    assert lines[0] == "event: rows"
    assert all(line.startswith("data: ") for line in lines[1:-2])
    assert not any("\r" in line for line in lines)
    assert lines[-2:] == ["", ""]


def test_the_answer_is_an_event_stream_that_no_proxy_holds_back(browser: Client) -> None:
    response = browser.get(reverse("live"))

    assert response["Content-Type"] == "text/event-stream"
    assert response["X-Accel-Buffering"] == "no"
    assert "no-store" in response["Cache-Control"]
    assert "default-src 'self'" in response["Content-Security-Policy"]


def test_one_organization_cannot_take_all_streams(browser: Client, organization: Organization) -> None:
    feeds.tabs[organization.pk] = live.MOST_TABS_OF_ONE
    try:
        refused = browser.get(reverse("live"))
    finally:
        del feeds.tabs[organization.pk]

    assert refused.status_code == 503
    assert refused["Retry-After"] == "10"
