"""Callers who hold a connection for nothing, and a good one who must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

Attack = Callable[["Attacker"], Awaitable[None]]

_PAUSE_S = 0.5
# A small window, so that little is on its way where nobody reads.
_WINDOW = 4_096
DEAF = "deaf"


@dataclass
class Attacker:
    """One slow connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    key: str

    def send(self, data: bytes) -> None:
        """Send bytes, whether or not somebody still listens."""
        self.writer.write(data)

    def head(self, body_bytes: int) -> bytes:
        """Return the head of a request with a good key."""
        lines = (
            "POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", "content-type: application/json",
            f"authorization: Bearer {self.key}", f"content-length: {body_bytes}", "", "",
        )  # fmt: skip
        return "\r\n".join(lines).encode()


async def _drip(it: Attacker, byte: bytes) -> None:
    while True:
        it.send(byte)
        await asyncio.sleep(_PAUSE_S)


async def _idle(_it: Attacker) -> None:
    await asyncio.Event().wait()


async def _slow_head(it: Attacker) -> None:
    it.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-slow: ")
    await _drip(it, b"a")


async def _stalled_body(it: Attacker) -> None:
    it.send(it.head(100_000) + b'{"model": ')
    await asyncio.Event().wait()


async def _dripping_body(it: Attacker) -> None:
    it.send(it.head(100_000) + b'{"model": ')
    await _drip(it, b" ")


async def _body_of_a_page(it: Attacker) -> None:
    it.send(b"POST /accounts/login/ HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000\r\n\r\nlogin=")
    await _drip(it, b"a")


async def _unread_body(it: Attacker) -> None:
    it.send(b"GET /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000\r\n\r\n")
    await _drip(it, b"a")


async def _deaf(it: Attacker) -> None:
    turns = [{"role": "user", "content": "[[sandbox big_line=900000 tokens=5]]"}]
    body = json.dumps({"model": "gpt-4o", "messages": turns, "max_tokens": 20, "stream": True}).encode()
    it.send(it.head(len(body)) + body)
    await asyncio.Event().wait()


ATTACKS: dict[str, Attack] = {
    "idle": _idle,
    "slow head": _slow_head,
    "stalled body": _stalled_body,
    "dripping body": _dripping_body,
    "body of a page": _body_of_a_page,
    "unread body": _unread_body,
    DEAF: _deaf,
}


@dataclass
class Siege:
    """What came of it: connections by attack, when each was closed, and how the good caller fared."""

    opened: Counter[str] = field(default_factory=Counter)
    closed_after_s: dict[str, list[float]] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)

    def longest_s(self, attack: str) -> float:
        """Return how long the last closed connection of an attack lasted; without end when one still is."""
        closed = self.closed_after_s.get(attack, [])
        return max(closed) if closed and len(closed) == self.opened[attack] else float("inf")


async def attack(base_url: str, key: str, siege: Siege, name: str, *, until: float) -> None:
    """Hold one connection until the moment, or until the server lets go of it."""
    reader, writer = await _connect(base_url)
    started = time.monotonic()
    siege.opened[name] += 1
    it = Attacker(reader, writer, key)
    doing = asyncio.ensure_future(ATTACKS[name](it))
    try:
        async with asyncio.timeout_at(until):
            # Who does not read cannot see that the server has let go.
            await (asyncio.Event().wait() if name == DEAF else _wait_closed(it, siege, name))
        siege.closed_after_s.setdefault(name, []).append(time.monotonic() - started)
    except TimeoutError:
        pass
    finally:
        doing.cancel()
        writer.transport.abort()


async def _wait_closed(it: Attacker, siege: Siege, name: str) -> None:
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := await it.reader.read(_WINDOW):
            got += piece
    if status := got[9:12].decode():
        siege.answered[f"{name}: {status}"] += 1


async def _connect(base_url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(base_url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
    raw.setblocking(False)  # noqa: FBT003 - the socket's own word
    await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
    return await asyncio.open_connection(sock=raw, limit=_WINDOW)


@dataclass
class GoodTraffic:
    """A customer who goes on asking, one request after the other over new and kept connections."""

    served: int = 0
    asked_again: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    async def ask(self, base_url: str, key: str, *, until: float) -> None:
        """Ask until the moment."""
        body = {
            "model": "gpt-4o",
            "max_tokens": 20,
            "messages": [{"role": "user", "content": "[[sandbox tokens=3]]"}],
        }
        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=30) as client:
            while time.monotonic() < until:
                await self._ask_once(client, body)
                await asyncio.sleep(0.05)

    async def _ask_once(self, client: httpx2.AsyncClient, body: dict[str, object]) -> None:
        started = time.monotonic()
        try:
            answer = await client.post("/chat/completions", json=body)
            if answer.status_code == 503:
                # A machine that is busy with other things makes Valkey late now and then; SDKs ask again, too.
                self.asked_again += 1
                answer = await client.post("/chat/completions", json=body)
        except httpx2.TransportError as exc:
            self.failures.append(repr(exc))
            return
        self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        if answer.status_code == 200:
            self.served += 1
        else:
            self.failures.append(f"{answer.status_code}: {answer.text[:200]}")


async def besiege(
    base_url: str, keys: tuple[str, str], *, connections: int, seconds: float
) -> tuple[Siege, GoodTraffic]:
    """Open so many slow connections for so long while a good caller asks; ``keys`` are theirs and the caller's."""
    siege, good = Siege(), GoodTraffic()
    until = time.monotonic() + seconds
    names = [list(ATTACKS)[number % len(ATTACKS)] for number in range(connections)]
    loop_until = asyncio.get_running_loop().time() + seconds
    attackers = [attack(base_url, keys[0], siege, name, until=loop_until) for name in names]
    await asyncio.gather(
        good.ask(base_url, keys[1], until=until), good.ask(base_url, keys[1], until=until), *attackers
    )
    return siege, good
