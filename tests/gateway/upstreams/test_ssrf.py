"""No address that staff or customers write leads inside: a listener on loopback hears of none of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pytest_django import Settings

from catalog.addresses import BadAddress
from catalog.channels import checked_base_url
from gateway.upstreams.faults import UpstreamTimeout, UpstreamUnreachable
from gateway.upstreams.http import HttpClient
from gateway.upstreams.origin import Origin

# Each stands where a host stands; PORT is the listener's.
HOSTS = (
    # Loopback, in every spelling that some resolver takes.
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "127.000.000.001", "2130706433", "0x7f000001", "0x7f.1",
    "0x7f.0x0.0x0.0x1", "0177.0.0.1", "017700000001", "0", "0.0.0.0", "0x0", "localhost", "localhost.", "LOCALHOST",  # noqa: S104 - one of them
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::127.0.0.1]", "[::7f00:1]",
    # The same inside other protocols' addresses.
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:7f00:0001::1]", "[2001:0:7f00:1::]",
    # Where clouds keep credentials.
    "169.254.169.254", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "2852039166", "0xa9fea9fe",
    "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "[fd00:ec2::254]", "[fe80::a9fe:a9fe]",
    # Networks of companies and carriers, and what routes nowhere.
    "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.0.1", "100.64.0.1", "100.127.255.254", "198.18.0.1",
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "[fc00::1]", "[fd12:3456::1]", "[fe80::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]", "[100::1]",
    # Digits of other scripts, which IDNA turns into ours.
    "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1",
)  # fmt: skip
# Each is a whole URL.
URLS = (
    "https://user@127.0.0.1:PORT/v1", "https://api.example@127.0.0.1:PORT/v1", "https://api.example#@127.0.0.1:PORT/",
    "https://127.0.0.1:PORT#@api.example/", "https://127.0.0.1:PORT?@api.example/", "https://127.0.0.1:PORT\\@api.example/",
    "https:127.0.0.1:PORT/v1", "https:///127.0.0.1:PORT/", "//127.0.0.1:PORT/v1", "http://8.8.8.8/v1", "ftp://8.8.8.8/v1",
    "file:///etc/passwd", "gopher://127.0.0.1:PORT/_x", "https://8.8.8.8:25/v1", "https://8.8.8.8:6379@127.0.0.1:PORT/",
    "https://8.8.8.8:22/v1", "https://127.0.0.1\t:PORT/v1", "https://127.0.0.1%00.example:PORT/v1",
)  # fmt: skip


class Listener:
    """Counts who connects."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def handle(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[Listener]:
    it = Listener()
    server = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    yield it
    await asyncio.sleep(0.02)
    server.close()


@pytest_asyncio.fixture
async def client() -> AsyncIterator[HttpClient]:
    it = HttpClient(connect_s=2)
    yield it
    await it.close()


@pytest.fixture(autouse=True)
def _as_in_production(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_UPSTREAMS = False


async def _refused(client: HttpClient, url: str) -> bool:
    try:
        await client.connect(Origin.of(url), answer_s=2)
    except (UpstreamUnreachable, UpstreamTimeout):
        return True
    return False


def test_there_are_enough_of_them() -> None:
    assert len({*HOSTS, *URLS}) >= 60


async def test_no_vector_is_saved_or_connected_to(listener: Listener, client: HttpClient) -> None:
    urls = [f"https://{host}:{listener.port}/v1" for host in HOSTS]
    urls += [url.replace("PORT", str(listener.port)) for url in URLS]

    for url in urls:
        with pytest.raises(BadAddress):
            checked_base_url(url)
    for host in HOSTS:
        for scheme in ("http", "https"):
            assert await _refused(client, f"{scheme}://{host}:{listener.port}/v1"), host
    assert listener.connections == 0


async def test_with_the_check_taken_away_the_listener_is_reached(listener: Listener) -> None:
    trusting = HttpClient(connect_s=2, allow_private=True)

    assert not await _refused(trusting, f"http://127.0.0.1:{listener.port}/v1")
    await asyncio.sleep(0.02)
    await trusting.close()

    assert listener.connections == 1


class Rebinding:
    """A resolver whose first answer is public and whose later ones are loopback."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))]


async def test_a_name_that_leads_inside_when_it_is_connected_to_is_refused(
    listener: Listener, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked_base_url("https://rebound.example/v1", resolve=lambda _: ["8.8.8.8"])
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", Rebinding("127.0.0.1").getaddrinfo)

    assert await _refused(client, f"http://rebound.example:{listener.port}/v1")
    assert listener.connections == 0


async def test_the_checked_address_is_the_one_that_is_connected_to(
    listener: Listener, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    resolver, reached = Rebinding("192.88.99.7", "127.0.0.1"), []

    async def create(_factory: Any, host: str, port: int, **options: Any) -> Any:
        reached.append((host, port, options["server_hostname"]))
        raise OSError

    monkeypatch.setattr("fastanchor.lib.public.is_public", lambda text: text != "127.0.0.1")
    monkeypatch.setattr(loop, "getaddrinfo", resolver.getaddrinfo)
    monkeypatch.setattr(loop, "create_connection", create)

    assert await _refused(client, "https://rebound.example/v1")
    assert reached == [("192.88.99.7", 443, "rebound.example")]
    assert (resolver.asked, listener.connections) == (1, 0)


async def test_one_private_address_among_public_ones_is_enough(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def both(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)

    assert await _refused(client, "https://mixed.example/v1")


async def test_a_redirect_to_the_inside_is_an_answer_and_no_order(listener: Listener) -> None:
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        where = f"http://127.0.0.1:{listener.port}/"
        writer.write(f"HTTP/1.1 302 Found\r\nlocation: {where}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    trusting = HttpClient(connect_s=2, allow_private=True)
    port = server.sockets[0].getsockname()[1]

    exchange = await trusting.connect(Origin.of(f"http://127.0.0.1:{port}"), answer_s=2)
    await exchange.ask("/", headers=[], body=b"")
    await trusting.close()
    server.close()

    assert exchange.status == 302
    assert listener.connections == 0
