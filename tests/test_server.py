from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from fastanchor import server
from fastanchor.server import BoundedProtocol, CannotListen, listen


async def _application(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Serve a tiny application behind the protocol, and return the port."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(_application, http=BoundedProtocol, lifespan="off", log_config=None)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running._serve([listener]))
    yield listener.getsockname()[1]
    running.should_exit = True
    await task


async def _send(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer


def _error(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-request-id: req_" in head
    error: dict[str, Any] = json.loads(body)["error"]
    return error


async def test_an_ordinary_request_passes(port: int) -> None:
    answer = await _send(port, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"ok")


@pytest.mark.parametrize(
    "request_", [b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n\r\n", b"nothing of the kind\r\n\r\n"]
)
async def test_no_browser_takes_an_answer_to_a_program_for_a_page(port: int, request_: bytes) -> None:
    answer = await _send(port, request_.replace(b"host: a", b"host: a\r\nconnection: close"))

    head = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert "x-content-type-options: nosniff" in head
    assert "content-security-policy: default-src 'none'; frame-ancestors 'none'" in head
    assert "strict-transport-security: max-age=31536000; includeSubDomains; preload" in head


async def test_a_page_is_left_to_django_s_middleware(port: int) -> None:
    answer = await _send(port, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")

    assert b"content-security-policy" not in answer


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"x-long: " + b"a" * 70_000 + b"\r\n", id="one long header"),
        pytest.param(b"".join(b"x-%d: a\r\n" % number for number in range(300)), id="many headers"),
    ],
)
async def test_a_head_that_is_too_large_is_answered_431_in_the_envelope(port: int, head: bytes) -> None:
    answer = await _send(port, b"GET / HTTP/1.1\r\nhost: a\r\n" + head + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 431")
    assert _error(answer)["code"] == "invalid_request"


async def test_a_long_address_is_answered_431(port: int) -> None:
    answer = await _send(port, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 431")


async def test_what_is_not_http_is_answered_400_in_the_envelope(port: int) -> None:
    answer = await _send(port, b"not http at all\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400")
    assert _error(answer)["type"] == "invalid_request_error"


async def test_a_head_that_never_ends_is_hung_up_on(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_S", 0.2)

    answer = await _send(port, b"GET / HTTP/1.1\r\nhost: a\r\nx-slow:")

    assert answer == b""


async def test_a_kept_alive_connection_has_a_fresh_bound_for_each_request(port: int) -> None:
    request = b"GET / HTTP/1.1\r\nhost: a\r\nx-half: " + b"a" * 40_000 + b"\r\n\r\n"
    last = request.replace(b"host: a", b"host: a\r\nconnection: close")

    answer = await _send(port, request + last)

    assert answer.count(b"HTTP/1.1 200") == 2


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]

        with pytest.raises(CannotListen, match=f"127.0.0.1:{number}: Address already in use. Set PORT"):
            listen("127.0.0.1", number)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone can end such a connection")
async def test_a_client_that_never_reads_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_UNREAD_S", 0.5)
    is_over = asyncio.Event()

    async def pour(_scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        is_over.set()

    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(pour, http=BoundedProtocol, lifespan="off", log_config=None)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running._serve([listener]))
    with socket.create_connection(listener.getsockname()) as deaf:
        deaf.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")

        await asyncio.wait_for(is_over.wait(), 10)

    running.should_exit = True
    await task


async def test_the_rest_of_a_body_that_nobody_reads_keeps_no_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LEFTOVER_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nx")
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")

    async def drip() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""

    dripping.cancel()
    writer.transport.abort()


async def test_a_connection_serves_on_once_the_rest_of_a_body_has_come(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LEFTOVER_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nx")
    await reader.readuntil(b"ok")
    writer.write(b"x" * 9 + b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await reader.readuntil(b"ok")

    await asyncio.sleep(0.5)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")

    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()


@contextlib.asynccontextmanager
async def pouring(amount: int, *, window: int) -> AsyncIterator[tuple[socket.socket, asyncio.Event]]:
    """Serve one large answer to one connection, and yield it with what tells that all was written."""
    is_over = asyncio.Event()

    async def pour(_scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * amount, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        is_over.set()

    listener = listen("127.0.0.1", 0)
    running = uvicorn.Server(uvicorn.Config(pour, http=BoundedProtocol, lifespan="off", log_config=None))
    task = asyncio.create_task(running._serve([listener]))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        slow.connect(listener.getsockname())
        slow.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        slow.setblocking(False)  # noqa: FBT003 - the socket's own word
        yield slow, is_over
    running.should_exit = True
    await task


async def read_all(slow: socket.socket, *, pause_s: float, piece: int) -> int:
    """Read at a pace and return how much came before the end."""
    size, loop = 0, asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while data := await loop.sock_recv(slow, piece):
            size += len(data)
            await asyncio.sleep(pause_s)
    return size


async def test_a_client_that_reads_a_few_bytes_now_and_then_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_UNREAD_S", 0.4)
    monkeypatch.setattr(server, "_SLOWEST_READER", 1_000_000)

    async with pouring(20_000_000, window=4_096) as (slow, is_over):
        read = await asyncio.wait_for(read_all(slow, pause_s=0.05, piece=1_000), 20)
        await asyncio.wait_for(is_over.wait(), 5)

    assert read < 10_000_000


async def test_a_client_that_reads_slowly_but_goes_on_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_UNREAD_S", 0.5)

    async with pouring(8_000_000, window=200_000) as (slow, _):
        read = await asyncio.wait_for(read_all(slow, pause_s=0.01, piece=100_000), 30)

    assert read > 8_000_000


async def test_a_server_that_ends_still_answers_what_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_FAREWELL_S", 0.5)
    listener = listen("127.0.0.1", 0)
    running = uvicorn.Server(
        uvicorn.Config(_application, http=BoundedProtocol, lifespan="off", log_config=None)
    )
    task = asyncio.create_task(running._serve([listener]))
    connections = [await asyncio.open_connection(*listener.getsockname()) for _ in range(2)]
    (reader, writer), (idle, idle_writer) = connections
    for each, to in connections:
        to.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await each.readuntil(b"ok")

    running.should_exit = True
    await asyncio.sleep(0.3)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert await asyncio.wait_for(idle.read(), 5) == b""
    await asyncio.wait_for(task, 5)
    writer.close()
    idle_writer.close()
