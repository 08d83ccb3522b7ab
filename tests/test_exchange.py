"""The short way for whole bodies and answers does what the messages of ASGI do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from fastanchor.exchange import Exchange
from fastanchor.server import BoundedProtocol, listen
from gateway.app import EXCHANGE

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Any], Awaitable[None]]
_HEAD = b"POST /%b HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n%b\r\n"


class Echo:
    """Answers with the body, the short way; after the last answer it listens on for a hang-up."""

    def __init__(self) -> None:
        self.took: list[bytes | None] = []
        self.errors: list[Exception] = []
        self.heard: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["state"][EXCHANGE]
        body = exchange.take_body()
        self.took.append(body)
        if body is None:
            message: dict[str, Any] = {"more_body": True}
            body = b""
            while message["more_body"]:
                message = await receive()
                body += message["body"]
        if not self.may_answer.is_set():
            self.heard.append((await receive())["type"])
        try:
            await exchange.answer(200, [("x-path", scope["path"].replace("-", "\r\n"))], body)
        except ValueError as error:
            self.errors.append(error)
            await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        self.heard.append((await receive())["type"])


@asynccontextmanager
async def _serving(echo: Echo) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(echo, http=BoundedProtocol, lifespan="off", log_config=None)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running._serve([listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        running.should_exit = True
        await task


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(size)


def _post(path: bytes, body: bytes, *more: bytes) -> bytes:
    return _HEAD % (path, len(body), b"".join(each + b"\r\n" for each in more)) + body


async def test_a_whole_body_is_taken_at_once_and_the_connection_serves_on() -> None:
    echo = Echo()
    async with _serving(echo) as (reader, writer):
        for body in (b"one", b"", b"three" * 10_000):
            writer.write(_post(b"a", body))

            head, answered = await _answer(reader)

            assert head.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
            assert b"\r\nx-path: /a\r\n" in head
            assert b"connection" not in head
            assert answered == body

    assert echo.took[0] == b"one"
    assert echo.took[1] == b""
    assert set(echo.heard) == {"http.disconnect"}


async def test_a_body_in_pieces_is_waited_for_with_messages() -> None:
    echo = Echo()
    async with _serving(echo) as (reader, writer):
        whole = _post(b"a", b"slowly")
        writer.write(whole[:-3])
        await asyncio.sleep(0.1)
        writer.write(whole[-3:])

        assert (await _answer(reader))[1] == b"slowly"

    assert echo.took == [None]


async def test_who_waits_to_be_asked_for_the_body_is_asked() -> None:
    echo = Echo()
    async with _serving(echo) as (reader, writer):
        writer.write(_post(b"a", b"", b"expect: 100-continue"))

        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        assert (await _answer(reader))[0].startswith(b"HTTP/1.1 200")

    assert echo.took == [None]


async def test_requests_sent_at_once_are_answered_one_after_the_other() -> None:
    echo = Echo()
    async with _serving(echo) as (reader, writer):
        writer.write(b"".join(_post(b"%d" % number, b"%d" % number) for number in range(20)))

        answers = [await _answer(reader) for _ in range(20)]

    assert [body for _, body in answers] == [b"%d" % number for number in range(20)]
    assert all(b"x-path: /%d\r\n" % number in head for number, (head, _) in enumerate(answers))


async def test_who_asks_to_close_is_told_so_and_let_go() -> None:
    echo = Echo()
    async with _serving(echo) as (reader, writer):
        writer.write(_post(b"a", b"last", b"connection: close"))

        head, body = await _answer(reader)

        assert b"connection: close\r\n" in head
        assert body == b"last"
        assert await reader.read() == b""


async def test_a_caller_who_left_is_not_answered() -> None:
    echo = Echo()
    echo.may_answer.clear()
    async with _serving(echo) as (_, writer):
        writer.write(_post(b"a", b"gone"))
        await asyncio.sleep(0.1)
        assert echo.heard == []
        writer.transport.abort()
        await asyncio.sleep(0.1)

    assert echo.heard == ["http.disconnect"] * 2
    assert echo.errors == []


async def test_answers_wait_for_a_reader_who_does_not_read() -> None:
    echo = Echo()
    async with _serving(echo) as (reader, writer):
        for _ in range(40):
            writer.write(_post(b"a", b"x" * 500_000))
        await asyncio.sleep(0.5)

        # What the kernel takes and one answer beyond; without waiting, all that was asked for would be in memory.
        assert len(echo.took) < 30
        for _ in range(40):
            assert len((await _answer(reader))[1]) == 500_000


async def test_a_header_that_would_break_its_line_is_refused() -> None:
    echo = Echo()
    async with _serving(echo) as (reader, writer):
        writer.write(_post(b"a-b:c", b"x"))

        assert (await _answer(reader))[0].startswith(b"HTTP/1.1 500")

    assert [str(error) for error in echo.errors] == ["A header holds a line break."]


@pytest.mark.parametrize("broken", ["\r", "\n", "\r\n"])
async def test_no_kind_of_line_break_passes(broken: str) -> None:
    exchange = Exchange(None)  # type: ignore[arg-type] # the refusal comes first

    with pytest.raises(ValueError, match="line break"):
        await exchange.answer(200, [("a", f"b{broken}c"), ("d", "e")], b"")
