"""The hot path's HTTP client, against raw servers that behave and misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.upstreams import http
from gateway.upstreams.faults import UpstreamBroken, UpstreamTimeout, UpstreamTooLarge, UpstreamUnreachable
from gateway.upstreams.http import Exchange, HttpClient
from gateway.upstreams.origin import Origin
from tests.live.certificates import certificate

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
Ask = Callable[..., Awaitable[Exchange]]


class Server:
    """A raw TCP server whose every connection runs a script."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.script: Serve = self.answers(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        self.port = 0

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request

    def answers(self, *parts: bytes, close: bool = False) -> Serve:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            while True:
                await self.read_request(reader)
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                if close:
                    return

        return script

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await self.script(reader, writer, self.connections)
        writer.close()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    it = Server()
    listening = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    it.port = listening.sockets[0].getsockname()[1]
    yield it
    listening.close()


@pytest_asyncio.fixture
async def client() -> AsyncIterator[HttpClient]:
    # No test is about slow connects, and a busy machine may be slow.
    it = HttpClient(connect_s=10, allow_private=True)
    yield it
    await it.close()
    await asyncio.sleep(0.02)


@pytest.fixture
def ask(server: Server, client: HttpClient) -> Ask:
    async def send(body: bytes = b"{}", *, answer_s: float = 5.0) -> Exchange:
        origin = Origin.of(f"http://127.0.0.1:{server.port}/v1/")
        exchange = await client.connect(origin, answer_s=answer_s)
        await exchange.ask("/chat/completions", headers=[("x-test", "1")], body=body)
        return exchange

    return send


async def test_a_request_arrives_as_written_and_the_connection_is_used_again(
    server: Server, ask: Ask
) -> None:
    for _ in range(3):
        exchange = await ask(b'{"a":1}')
        assert exchange.status == 200
        assert await exchange.body(100) == b"ok"

    assert server.connections == 1
    head, body = server.requests[0].split(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"x-test: 1" in head
    assert b"accept-encoding: identity" in head
    assert body == b'{"a":1}'


async def test_pieces_of_a_stream_come_as_they_arrive(server: Server, ask: Ask) -> None:
    server.script = server.answers(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"3\r\nabc\r\n",
        b"2\r\nde\r\n",
        b"0\r\n\r\n",
    )

    exchange = await ask()

    pieces = [await exchange.piece() for _ in range(3)]
    assert pieces == [b"abc", b"de", None]


async def test_a_body_may_end_with_the_connection(server: Server, ask: Ask) -> None:
    server.script = server.answers(b"HTTP/1.1 200 OK\r\n\r\nall of it", close=True)

    assert await (await ask()).body(100) == b"all of it"


async def test_an_interim_answer_is_passed_over(server: Server, ask: Ask) -> None:
    server.script = server.answers(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 1\r\n\r\nx"
    )

    exchange = await ask()

    assert (exchange.status, await exchange.body(10)) == (201, b"x")


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",),
    ],
    ids=["short body", "chunks without an end"],
)
async def test_a_cut_body_is_never_a_clean_end(server: Server, ask: Ask, parts: tuple[bytes, ...]) -> None:
    server.script = server.answers(*parts, close=True)
    exchange = await ask()

    with pytest.raises(UpstreamBroken) as broken:
        await exchange.body(100)
    assert broken.value.has_answered


@pytest.mark.parametrize("raw", [b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x16\x03\x01\x02"])
async def test_nonsense_is_noticed(server: Server, ask: Ask, raw: bytes) -> None:
    server.script = server.answers(raw, close=True)

    with pytest.raises(UpstreamBroken):
        await ask()


async def test_headers_without_end_are_refused(server: Server, ask: Ask) -> None:
    server.script = server.answers(
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * http.MAX_HEADER_BYTES + b"\r\n\r\n"
    )

    with pytest.raises(UpstreamTooLarge):
        await ask()


async def test_a_body_above_the_limit_is_refused_and_the_connection_dropped(server: Server, ask: Ask) -> None:
    server.script = server.answers(b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n" + b"z" * 999_999)
    exchange = await ask()

    with pytest.raises(UpstreamTooLarge):
        await exchange.body(1_000)
    await asyncio.sleep(0.05)
    await ask()
    assert server.connections == 2


async def test_a_server_whose_certificate_nobody_vouches_for_is_not_spoken_to(
    client: HttpClient, tmp_path: Path
) -> None:
    certificate(tmp_path)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(tmp_path / "own.pem", tmp_path / "own.key")
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    impostor = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=own)
    port = impostor.sockets[0].getsockname()[1]

    with pytest.raises(UpstreamUnreachable, match="SSLCertVerificationError"):
        await client.connect(Origin.of(f"https://127.0.0.1:{port}/v1"), answer_s=5)
    impostor.close()
    assert not any(heard)


async def test_nobody_listening_is_told_at_once(client: HttpClient) -> None:
    with pytest.raises(UpstreamUnreachable):
        await client.connect(Origin.of("http://127.0.0.1:1/v1"), answer_s=1)


async def test_an_upstream_that_does_not_answer_meets_its_deadline(server: Server, ask: Ask) -> None:
    server.script = server.answers()

    with pytest.raises(UpstreamTimeout) as timeout:
        await ask(answer_s=0.1)
    assert timeout.value.phase == "answer"


async def test_a_drip_of_header_bytes_does_not_move_the_deadline(server: Server, ask: Ask) -> None:
    server.script = server.answers(*(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50))

    with pytest.raises(UpstreamTimeout):
        await ask(answer_s=0.2)


async def test_a_connection_closed_while_idle_is_replaced_without_a_word(server: Server, ask: Ask) -> None:
    async def close_after_first(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        if number == 1:
            # Hears the second request, says nothing, closes: as a server does whose patience ended.
            await server.read_request(reader)

    server.script = close_after_first

    assert await (await ask()).body(10) == b"ok"
    assert await (await ask()).body(10) == b"ok"
    assert server.connections == 2


async def test_a_fresh_connection_closed_without_an_answer_is_not_asked_again(
    server: Server, ask: Ask
) -> None:
    server.script = server.answers(close=True)

    with pytest.raises(UpstreamBroken) as broken:
        await ask()
    assert not broken.value.has_answered
    assert server.connections == 1


async def _at_rest(count: Callable[[], int]) -> int:
    """Return a count once it has not moved for a while, or after ten seconds as it then is."""
    seen, since = count(), 0
    for _ in range(100):
        await asyncio.sleep(0.1)
        seen, since = (seen, since + 1) if count() == seen else (count(), 0)
        if since == 3:
            break
    return seen


async def test_a_reader_that_lags_stops_the_upstream_instead_of_filling_memory(
    server: Server, ask: Ask
) -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal sent
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    server.script = pour
    exchange = await ask()
    stuck_at = await _at_rest(lambda: sent)
    assert stuck_at < 20_000_000

    async with asyncio.timeout(10):
        while sent == stuck_at:
            await exchange.piece()
    exchange.close()


async def test_closing_in_the_middle_hangs_up_on_the_upstream(server: Server, ask: Ask) -> None:
    noticed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        noticed.set()

    server.script = script
    exchange = await ask()
    assert await exchange.piece() == b"abc"

    exchange.close()

    await asyncio.wait_for(noticed.wait(), 1)


async def test_a_server_that_speaks_unasked_loses_its_connection(server: Server, ask: Ask) -> None:
    server.script = server.answers(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", b"HTTP/1.1 200 OK\r\n\r\nmore"
    )

    assert await (await ask()).body(10) == b"ok"
    await asyncio.sleep(0.05)
    assert await (await ask()).body(10) == b"ok"

    assert server.connections == 2


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        (
            "https://api.example.com/v1/",
            Origin(is_tls=True, host="api.example.com", port=443, path="/v1"),
            "api.example.com",
        ),
        (
            "http://127.0.0.1:8002/v1",
            Origin(is_tls=False, host="127.0.0.1", port=8002, path="/v1"),
            "127.0.0.1:8002",
        ),
        ("http://[::1]:80", Origin(is_tls=False, host="::1", port=80, path=""), "[::1]"),
    ],
)
def test_a_base_url_is_taken_apart(url: str, origin: Origin, authority: str) -> None:
    assert Origin.of(url) == origin
    assert origin.authority == authority


async def test_a_header_without_end_is_refused_before_it_fills_the_memory(server: Server, ask: Ask) -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal sent
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        while sent < 50_000_000:
            writer.write(b"y" * 65_536)
            await writer.drain()
            sent += 65_536

    server.script = pour

    with pytest.raises(UpstreamTooLarge):
        await ask()
    assert sent < 10_000_000


async def test_half_an_answer_that_nobody_asked_for_does_not_swallow_the_next(
    server: Server, ask: Ask
) -> None:
    plain = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    server.script = server.answers(plain + b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n")
    assert await (await ask()).body(10) == b"ok"

    server.script = server.answers(plain)
    assert await (await ask(answer_s=1.0)).body(10) == b"ok"
    assert server.connections == 2


async def test_what_stands_after_an_answer_is_no_header_of_the_next(server: Server, ask: Ask) -> None:
    server.script = server.answers(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-late\r\n\r\n2\r\nok\r\n0\r\nx-late: 1\r\n\r\n"
    )
    await (await ask()).body(10)
    server.script = server.answers(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    assert b"x-late" not in (await ask()).headers
