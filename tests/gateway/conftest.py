"""A gateway in the test's own event loop, and the raw upstream it asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest_asyncio
import redis
from django.conf import settings

from tests.gateway.house import House, Upstream


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[Upstream]:
    it = Upstream()
    listening = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    it.port = listening.sockets[0].getsockname()[1]
    yield it
    listening.close()


Build = Callable[..., Awaitable[House]]


@pytest_asyncio.fixture
async def build(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Build]:
    """Return what builds a gateway with other deadlines than the usual ones."""
    async with contextlib.AsyncExitStack() as undo:
        valkey = undo.enter_context(redis.Redis.from_url(settings.REDIS_URL))

        async def one(**deadlines: float) -> House:
            house = House(tmp_path, valkey, upstream, **deadlines)
            undo.push_async_callback(house.close)
            await house.gateway.catalog.refresh()
            return house

        yield one


@pytest_asyncio.fixture
async def house(build: Build) -> House:
    return await build()


@pytest_asyncio.fixture
async def second(house: House) -> AsyncIterator[Upstream]:
    """Return the upstream behind a second channel, which is asked after the first."""
    it = Upstream()
    listening = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    it.port = listening.sockets[0].getsockname()[1]
    house.others.append(it)
    await house.gateway.catalog.refresh()
    yield it
    listening.close()
