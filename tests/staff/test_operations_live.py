"""An open first page of the administration hears what changes, for as long as its reader may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from catalog.models import Incident
from fastanchor.feeds import Pace
from fastanchor.live import events
from fastanchor.staff import operations
from fastanchor.staff.operations_pages import Board, Boards, Member
from tests.staff.conftest import Hire

T = TypeVar("T")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ops(client: Client, transactional_db: None, hire: Hire) -> User:
    user = hire("operations")
    client.force_login(user)
    return user


async def aside(call: Callable[[], T]) -> T:
    """Use the database beside the event loop, as another process would."""

    def work() -> T:
        try:
            return call()
        finally:
            connection.close()

    return await asyncio.to_thread(work)


async def until(heard: AsyncIterator[bytes], wanted: bytes) -> bool:
    async for each in heard:
        if wanted in each:
            return True
    return False


async def test_an_open_page_hears_what_changes_until_its_reader_loses_the_role(
    client: Client, ops: User
) -> None:
    board = Board(await aside(lambda: operations.allowed_to(ops)))
    hub = Boards(Pace(least_gap_s=0.02, heartbeat_s=0.1, recheck_s=0.0))
    heard = events(Member(str(client.session.session_key), board), hub)

    async with asyncio.timeout(30):
        assert await until(heard, b'id="channels"')
        await aside(lambda: Incident.objects.create(title="Slow answers", impact="degraded"))
        assert await until(heard, b"Slow answers")
        await aside(ops.groups.clear)
        assert await until(heard, b"event: end")

        await heard.aclose()  # type: ignore[attr-defined]  # a generator's, which the iterator hides
        await hub.closed()
