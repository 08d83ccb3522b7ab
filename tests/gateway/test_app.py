"""The ASGI adapter: an answer that is not whole never ends like one that is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fastanchor.lib.long_waits import LongWaits
from gateway import app
from gateway.app import _send_reply, handle
from gateway.errors import InternalError
from gateway.formats.chat import Chat
from gateway.reply import Reply
from tests.gateway.conftest import Build


class Wire:
    """What a server offers an application: takes messages, may be slow, tells nothing."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.is_free = asyncio.Event()
        self.is_free.set()

    async def send(self, message: Any) -> None:
        await self.is_free.wait()
        self.sent.append(message)

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    @property
    def ends_cleanly(self) -> bool:
        return self.sent[-1] == {"type": "http.response.body", "body": b""}


def stream() -> Reply:
    reply = Reply(Chat(), "req_1")
    reply.begin(200, [], is_stream=True)
    return reply


async def test_a_stream_that_is_complete_ends_cleanly() -> None:
    wire, reply = Wire(), stream()
    reply.send(b"data: a\n\n")
    reply.end()

    await _send_reply(reply, LongWaits(), wire.receive, wire.send)

    assert wire.ends_cleanly


async def test_a_stream_that_broke_before_its_first_byte_does_not_end_cleanly() -> None:
    wire, reply = Wire(), stream()
    reply.fail(InternalError("broken"), [])

    await _send_reply(reply, LongWaits(), wire.receive, wire.send)

    assert [message["type"] for message in wire.sent] == ["http.response.start"]


async def test_a_stream_given_up_for_its_slow_reader_does_not_end_cleanly() -> None:
    wire, reply = Wire(), stream()
    reply.send(b"data: a\n\n")
    sending = asyncio.create_task(_send_reply(reply, LongWaits(), wire.receive, wire.send))
    await asyncio.sleep(0)
    wire.is_free.clear()
    reply.send(b"data: b\n\n")
    await asyncio.sleep(0.01)

    reply.leave()
    wire.is_free.set()
    await sending

    assert not wire.ends_cleanly


async def test_a_body_that_drips_is_not_waited_for_without_end(build: Build) -> None:
    house = await build(body_s=0.3)
    wire = Wire()

    async def drip() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b" ", "more_body": True}

    scope = {"method": "POST", "path": "/v1/chat/completions", "headers": []}
    await asyncio.wait_for(handle(house.gateway, scope, drip, wire.send), 3)

    assert wire.sent[0]["status"] == 408


async def test_a_large_body_on_a_slow_line_has_the_time_it_needs(build: Build) -> None:
    house = await build(body_s=0.3)
    wire, parts = Wire(), iter([b" " * 10_000] * 10)

    async def slowly() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        part = next(parts, b"")
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    scope = {"method": "POST", "path": "/v1/chat/completions", "headers": []}
    await handle(house.gateway, scope, slowly, wire.send)

    assert wire.sent[0]["status"] == 401


def in_parts(*sizes: int) -> tuple[list[int], Any]:
    """Return what counts the parts that were taken, and a caller who sends them."""
    taken: list[int] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        if len(taken) == len(sizes):
            return {"type": "http.disconnect"}
        taken.append(sizes[len(taken)])
        return {"type": "http.request", "body": b" " * taken[-1], "more_body": len(taken) < len(sizes)}

    return taken, receive


async def test_a_large_body_is_read_from_known_keys_only(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "DISCARD_S", 0.0)
    house = await build()
    wire = Wire()
    taken, receive = in_parts(*[100_000] * 9)

    scope = {
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": [(b"authorization", b"Bearer fa_live_x")],
    }
    await handle(house.gateway, scope, receive, wire.send)

    assert wire.sent[0]["status"] == 401
    assert len(taken) == 3
    assert house.gateway.arriving_bytes == 0


async def test_bodies_have_so_much_room_and_no_more(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "DISCARD_S", 0.0)
    house = await build()
    house.gateway.max_arriving_bytes = 350_000
    key = [(b"authorization", f"Bearer {house.token}".encode())]
    scope = {"method": "POST", "path": "/v1/chat/completions", "headers": key}
    stalled, is_stalled = Wire(), asyncio.Event()

    async def stall() -> dict[str, Any]:
        if is_stalled.is_set():
            await asyncio.Event().wait()
        is_stalled.set()
        return {"type": "http.request", "body": b" " * 200_000, "more_body": True}

    first = asyncio.create_task(handle(house.gateway, scope, stall, stalled.send))
    await is_stalled.wait()
    await asyncio.sleep(0)
    wire = Wire()
    _, receive = in_parts(*[100_000] * 3)
    await handle(house.gateway, scope, receive, wire.send)

    assert wire.sent[0]["status"] == 503
    assert (b"retry-after", b"1") in wire.sent[0]["headers"]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert house.gateway.arriving_bytes == 0
