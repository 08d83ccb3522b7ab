"""The ASGI adapter: an answer that is not whole never ends like one that is."""

from __future__ import annotations

import asyncio
from typing import Any

from fastanchor.lib.long_waits import LongWaits
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
