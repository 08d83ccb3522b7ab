"""Clients that go on asking while something breaks, and remember what they were answered."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Told:
    """One answer: its status (0 for none), when and how long after the question it came, and whether in a degraded mode."""

    status: int
    at: float
    took_s: float
    is_degraded: bool
    body: bytes


async def ask(base_url: str, key: str, body: bytes) -> Told:
    """Ask once, on a connection of its own."""
    parts = urlsplit(base_url)
    began = time.monotonic()
    raw = b""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(
                f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
                f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            raw = await reader.read()
            writer.close()
    head, _, answer = raw.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head else 0
    now = time.monotonic()
    return Told(status, now, now - began, b"x-fa-degraded: 1" in head.lower(), answer)


@dataclass
class Load:
    """What all clients were told."""

    told: list[Told] = field(default_factory=list)

    def statuses(self) -> Counter[int]:
        """Return how often which status came."""
        return Counter(one.status for one in self.told)


@contextlib.contextmanager
def load(base_urls: Sequence[str], key: str, body: bytes, *, clients: int, pause_s: float) -> Iterator[Load]:
    """Keep so many clients asking in a thread until the block ends."""
    found, is_over = Load(), threading.Event()

    async def client(number: int) -> None:
        while not is_over.is_set():
            found.told.append(await ask(base_urls[number % len(base_urls)], key, body))
            await asyncio.sleep(pause_s)

    async def crowd() -> None:
        await asyncio.gather(*(client(number) for number in range(clients)))

    thread = threading.Thread(target=lambda: asyncio.run(crowd()), name="load")
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()
