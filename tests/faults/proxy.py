"""A TCP proxy between the product and what it depends on, which can be told to do what networks and servers do.

It runs in a thread with an event loop of its own, so that it stands beside blocking tests and real processes alike::

    with FaultProxy("unix:/run/valkey.sock") as proxy:
        proxy.faults = Faults(latency_s=0.2)
        proxy.cut()

What is told holds for open connections, too, from their next piece of data on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Self

_PIECE = 65_536
_TICK_S = 0.02
# Makes close() send a reset instead of a clean end.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong now; nothing by default."""

    # Added to every piece of data, in each direction.
    latency_s: float = 0.0
    # Bytes a second that pass in each direction; 0 for as many as come.
    rate: int = 0
    # Nothing passes, and what is sent waits: a server that stands still.
    is_stalled: bool = False
    # Nothing passes, and what is sent is lost: a network that swallows it.
    is_blackhole: bool = False
    # Nobody listens: connections are closed as soon as they are made.
    is_down: bool = False


class FaultProxy:
    """Passes connections on to one target, ``host:port`` or ``unix:/path``; a context manager."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.faults = Faults()
        self.port = 0
        # How many connections were made, and how many pieces clients have sent.
        self.connections = 0
        self.pieces = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait_for(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait_for(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What can go wrong at once.

    def down(self) -> None:
        """Be gone: break what is open, refuse what comes."""
        self.faults = Faults(is_down=True)
        self.cut()

    def heal(self) -> None:
        """Let everything pass again."""
        self.faults = Faults()

    def cut(self) -> None:
        """End every open connection cleanly."""
        self._wait_for(self._close_all(is_reset=False))

    def reset(self) -> None:
        """Reset every open connection."""
        self._wait_for(self._close_all(is_reset=True))

    # In the proxy's own thread.

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        await self._close_all(is_reset=False)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _close_all(self, *, is_reset: bool) -> None:
        for writer in list(self._open):
            _close(writer, is_reset=is_reset)
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            server_reader, server_writer = await self._connect()
        except OSError:
            _close(writer, is_reset=True)
            return
        if self.faults.is_down:
            # Asked here and not before: nobody cuts a connection that is about to be made.
            _close(writer, is_reset=True)
            _close(server_writer, is_reset=True)
            return
        self._open |= {writer, server_writer}
        # Cancelled when the proxy ends, of which asyncio's own streams would complain.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._pump(reader, server_writer, counts=True),
                self._pump(server_reader, writer, counts=False),
            )
        self._open -= {writer, server_writer}

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.startswith("unix:"):
            return await asyncio.open_unix_connection(self._target.removeprefix("unix:"))
        host, _, port = self._target.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counts: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_PIECE):
                self.pieces += counts
                await self._pass_on(data, sink)
        with contextlib.suppress(RuntimeError):
            sink.close()

    async def _pass_on(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        if self.faults.latency_s:
            await asyncio.sleep(self.faults.latency_s)
        while self.faults.is_stalled:  # noqa: ASYNC110 - another thread tells
            await asyncio.sleep(_TICK_S)
        if self.faults.is_blackhole:
            return
        if self.faults.rate:
            await asyncio.sleep(len(data) / self.faults.rate)
        sink.write(data)
        await sink.drain()


def _close(writer: asyncio.StreamWriter, *, is_reset: bool) -> None:
    if is_reset:
        sock = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
    else:
        writer.close()
