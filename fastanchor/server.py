"""The HTTP server in front of ``fastanchor.asgi``: uvicorn with bounds on what a client may send before a request."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from types import FrameType
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fastanchor import live
from fastanchor.lib.ids import new_id

logger = logging.getLogger(__name__)

_BACKLOG = 2048
_MAX_HEAD_BYTES = 64 * 1024
_MAX_HEADERS = 200
# A client that sends its headers more slowly than this holds a connection for nothing.
_HEAD_S = 30.0
# A client that reads nothing of what waits for it for this long is gone.
_UNREAD_MS = 60_000


class CannotListen(Exception):
    """The port is not free; the message is one line for a person."""


class HeadTooLarge(Exception):
    """The request line and headers exceed the bounds."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses request heads that are too large or too slow, with the envelope of every other error."""

    # Bytes of a head that is not complete, and the clock that runs meanwhile. Heads that come in one piece, as nearly
    # all do, are looked at once, when they are complete: a hook per header would cost more than the request's limits.
    _head_bytes = 0
    _is_in_head = True
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what has come of a head that is not complete."""
        super().data_received(data)
        if not self._is_in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MAX_HEAD_BYTES:
            self.send_400_response("")
        elif self._head_timer is None:
            self._start_clock()

    def on_message_begin(self) -> None:
        """Expect a head."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Stop the clock; bodies have a deadline of their own."""
        self._is_in_head = False
        self._stop_clock()
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        if size > _MAX_HEAD_BYTES or len(self.headers) > _MAX_HEADERS:
            self._head_bytes = _MAX_HEAD_BYTES + 1
            raise HeadTooLarge
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that never became one, and close."""
        status = 431 if self._head_bytes > _MAX_HEAD_BYTES else 400
        text = "The request line and headers are too large." if status == 431 else msg
        self.transport.write(_refusal(status, text))
        self.transport.close()

    def _start_clock(self) -> None:
        self._head_timer = self.loop.call_later(_HEAD_S, self.transport.close)

    def _stop_clock(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _refusal(status: int, text: str) -> bytes:
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": "invalid_request"}
    body = msgspec.json.encode({"error": error})
    head = (
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-request-id: {new_id('req')}\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[status] + head.encode("ascii") + body


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket that children may inherit; raises ``CannotListen``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        message = f"Cannot listen on {host}:{port}: {os.strerror(exc.errno or 0)}. Set PORT to a free port."
        raise CannotListen(message) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Inherited by every connection; no server or application can end one that waits for its reader.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    return listener


def serve(listener: socket.socket, *, drain_s: int) -> None:
    """Serve the application on a listening socket until SIGTERM or SIGINT, then finish what runs."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server raises the signal again once it has drained: that is a clean end, not a death.
        signal.signal(number, _exit_cleanly)
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
    config = uvicorn.Config(
        "fastanchor.asgi:application",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        timeout_graceful_shutdown=drain_s,
        **options,
    )
    logger.info("server.serving", extra={"port": listener.getsockname()[1]})
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends the dashboards' live streams first: they never end by themselves and would use up the drain."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        await live.end_all()
        await super().shutdown(sockets)


def _exit_cleanly(_signal_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
