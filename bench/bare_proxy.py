"""The least a proxy in Python can do: the reference on machines without nginx (about 1.4 times its CPU).

No check, no limit, no log: read a request, write it to a pooled upstream connection, write the answer back.
Run as ``python -m bench.bare_proxy UPSTREAM_PORT PORT_FILE``.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import cast

import httptools
import uvloop

from bench.upstream import announce


class Onward(asyncio.Protocol):
    """A keep-alive connection to the upstream; passes every byte of an answer on at once."""

    def __init__(self, idle: list[Onward]) -> None:
        self.idle = idle
        self.client: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, client: asyncio.Transport) -> None:
        """Send one request whose answer goes to ``client``."""
        self.client = client
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on; the parser only tells where the answer ends."""
        assert self.client is not None
        self.client.write(data)
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Return to the pool."""
        self.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool."""
        if self in self.idle:
            self.idle.remove(self)


class Inward(asyncio.Protocol):
    """A keep-alive connection from a client."""

    def __init__(self, upstream_port: int, idle: list[Onward]) -> None:
        self.upstream_port, self.idle = upstream_port, idle
        self.request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start reading."""
        self.transport = cast("asyncio.Transport", transport)
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Collect a request."""
        self.request += data
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Forward the request as it came."""
        request, self.request = self.request, b""
        if self.idle:
            self.idle.pop().send(request, self.transport)
        else:
            self.dialling = asyncio.get_running_loop().create_task(self._dial(request))

    async def _dial(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, onward = await loop.create_connection(lambda: Onward(self.idle), "127.0.0.1", self.upstream_port)
        onward.send(request, self.transport)


async def serve(upstream_port: int, port_file: Path) -> None:
    """Listen on a free loopback port, write it to ``port_file`` and serve until killed."""
    idle: list[Onward] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Inward(upstream_port, idle), "127.0.0.1", 0, backlog=4096)
    announce(server, port_file)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
