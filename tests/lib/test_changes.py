"""Changes are heard whatever becomes of the connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import redis
import redis.asyncio
from django.conf import settings

from fastanchor.lib import changes


class Wire:
    """A TCP relay to the real server; connections made before it was cut stay open, but nothing passes any more."""

    def __init__(self) -> None:
        self.port = 0
        self._cut: list[asyncio.Event] = []

    def cut(self) -> None:
        for event in self._cut:
            event.set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = asyncio.Event()
        self._cut.append(cut)
        path = settings.REDIS_URL.removeprefix("unix://").split("?")[0]
        server_reader, server_writer = await asyncio.open_unix_connection(path)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65_536):
                    if not cut.is_set():
                        sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, server_writer), pump(server_reader, writer))


@pytest_asyncio.fixture
async def wire() -> AsyncIterator[Wire]:
    it = Wire()
    listening = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    it.port = listening.sockets[0].getsockname()[1]
    yield it
    listening.close()


async def test_a_change_is_heard_though_the_connections_are_dead_and_nobody_said_so(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "POLL_S", 0.05)
    monkeypatch.setattr(changes, "ANSWER_S", 0.2)
    heard = asyncio.Queue[str | None]()
    number = settings.REDIS_URL.rpartition("db=")[2] if "db=" in settings.REDIS_URL else "0"
    async with redis.asyncio.Redis.from_url(f"redis://127.0.0.1:{wire.port}/{number}") as client:
        with redis.Redis.from_url(settings.REDIS_URL) as announcer:
            changes.announce(announcer, "keys", "key:0")
            watching = asyncio.create_task(changes.Watch(client, {"keys": heard.put}).run())
            assert await asyncio.wait_for(heard.get(), 5) is None

            wire.cut()
            changes.announce(announcer, "keys", "key:1")

            await asyncio.wait_for(heard.get(), 5)
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


async def test_a_message_of_another_making_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "POLL_S", 0.05)
    heard = asyncio.Queue[str | None]()
    async with redis.asyncio.Redis.from_url(settings.REDIS_URL) as client:
        watching = asyncio.create_task(changes.Watch(client, {"keys": heard.put}).run())
        with redis.Redis.from_url(settings.REDIS_URL) as announcer:
            changes.announce(announcer, "keys", "key:0")
            await asyncio.wait_for(heard.get(), 5)
            await asyncio.sleep(0.1)

            announcer.publish(changes.channel(announcer), "nonsense")
            await asyncio.sleep(0.2)

        assert not watching.done()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def elsewhere() -> redis.Redis:
    """Return a client of a database that no worker uses."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.get_connection_kwargs()["db"] = 13
    return client


async def test_what_changes_in_another_database_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "POLL_S", 0.05)
    heard = asyncio.Queue[str | None]()
    async with redis.asyncio.Redis.from_url(settings.REDIS_URL) as client:
        watching = asyncio.create_task(changes.Watch(client, {"keys": heard.put}).run())
        with redis.Redis.from_url(settings.REDIS_URL) as announcer, elsewhere() as other:
            changes.announce(announcer, "keys", "key:0")
            await asyncio.wait_for(heard.get(), 5)
            await asyncio.sleep(0.1)

            changes.announce(other, "keys", "key:elsewhere")
            await asyncio.sleep(0.2)
            other.flushdb()

        assert heard.empty()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
