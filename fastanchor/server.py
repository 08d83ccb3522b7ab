"""The HTTP server in front of ``fastanchor.asgi``: uvicorn with bounds on what a client may send before a request."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
import termios
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from fastanchor import endings, live
from fastanchor.exchange import Exchange
from fastanchor.lib.ids import new_id
from gateway.app import EXCHANGE
from gateway.endpoints import ENDPOINTS

logger = logging.getLogger(__name__)

_BACKLOG = 2048
_MAX_HEAD_BYTES = 64 * 1024
_MAX_HEADERS = 200
# A client that sends its headers more slowly than this holds a connection for nothing.
_HEAD_S = 30.0
# What is left of a body that nobody reads any more must come within this time.
_LEFTOVER_S = 5.0
# A client that reads nothing of what waits for it for this long is gone, and so is one that reads more slowly than this.
_UNREAD_S = 30.0
_SLOWEST_READER = 1024
# An idle connection stays for the next request; those who keep it should let go of it earlier than we do.
_IDLE_S = 30
# A server that ends keeps idle connections for so long: a request may be on its way.
_FAREWELL_S = 2.0
# What Django's middleware tells browsers, for answers that do not pass through it; none of them is a page.
_TO_BROWSERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload"),
    (b"x-content-type-options", b"nosniff"),
)


class CannotListen(Exception):
    """The port is not free; the message is one line for a person."""


class HeadTooLarge(Exception):
    """The request line and headers exceed the bounds."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses request heads that are too large or too slow, with the envelope of every other error.

    It also lets go of who keeps a connection for nothing: by sending what nobody reads, or by not reading what was sent.
    """

    # Bytes of a head that is not complete, and the clock that runs meanwhile. Heads that come in one piece, as nearly
    # all do, are looked at once, when they are complete: a hook per header would cost more than the request's limits.
    _head_bytes = 0
    _is_in_head = True
    _head_timer: asyncio.TimerHandle | None = None
    _reader_timer: asyncio.TimerHandle | None = None
    _is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request."""
        super().connection_made(transport)
        self._start_clock(_HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks."""
        self._stop_clock()
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what has come of a head that is not complete."""
        super().data_received(data)
        if not self._is_in_head:
            if self._head_timer is None and self.cycle.response_complete:
                # The rest of a body after its answer: the server's own clock has just been stopped by it.
                self._start_clock(_LEFTOVER_S)
            return
        if self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MAX_HEAD_BYTES:
            self.send_400_response("")
        elif self._head_timer is None:
            self._start_clock(_HEAD_S)

    def on_message_begin(self) -> None:
        """Expect a head."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Stop the clock; bodies have a deadline of their own."""
        self._stop_clock()
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        if size > _MAX_HEAD_BYTES or len(self.headers) > _MAX_HEADERS:
            self._head_bytes = _MAX_HEAD_BYTES + 1
            raise HeadTooLarge
        super().on_headers_complete()
        self.scope["state"][EXCHANGE] = Exchange(self.cycle)
        if self.scope["path"] in ENDPOINTS:
            self.cycle.default_headers = [*self.cycle.default_headers, *_TO_BROWSERS]
        self._is_in_head = False
        if self._is_ending:
            self.cycle.keep_alive = False

    def pause_writing(self) -> None:
        """Watch how fast the client reads: more waits for it than the connection holds."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Trust the client again."""
        self._stop_watching()
        super().resume_writing()

    def shutdown(self) -> None:
        """Answer what may be on its way already, then close: whoever meets a closed connection has lost a request."""
        self._is_ending = True
        if self._is_idle():
            self.loop.call_later(_FAREWELL_S, self._part)
        else:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Answer a request that never became one, and close."""
        status = 431 if self._head_bytes > _MAX_HEAD_BYTES else 400
        text = "The request line and headers are too large." if status == 431 else msg
        self.transport.write(_refusal(status, text))
        self.transport.close()

    def _part(self) -> None:
        if self._is_idle():
            self.transport.close()

    def _is_idle(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is None or cycle.response_complete

    def _watch_reader(self) -> None:
        self._reader_timer = self.loop.call_later(_UNREAD_S, self._judge_reader, _unread(self.transport))

    def _judge_reader(self, unread: int) -> None:
        # Whoever writes waits meanwhile, so what is unread only becomes less.
        if unread - _unread(self.transport) < _UNREAD_S * _SLOWEST_READER:
            self.transport.abort()
        else:
            self._watch_reader()

    def _stop_watching(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _start_clock(self, seconds: float) -> None:
        self._head_timer = self.loop.call_later(seconds, self.transport.close)

    def _stop_clock(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _unread(transport: asyncio.Transport) -> int:
    """Return how much the client has not acknowledged: what waits here, and what the kernel has taken."""
    taken = bytearray(4)
    with contextlib.suppress(OSError):
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, taken)
    return transport.get_write_buffer_size() + int.from_bytes(taken, sys.byteorder)


def _refusal(status: int, text: str) -> bytes:
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": "invalid_request"}
    body = msgspec.json.encode({"error": error})
    common = b"".join([name + b": " + value + b"\r\n" for name, value in _TO_BROWSERS])
    head = (
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-request-id: {new_id('req')}\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[status] + common + head.encode("ascii") + body


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
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_UNREAD_S * 1_000))
    return listener


def serve(listener: socket.socket, *, when_ready: Callable[[], None] = lambda: None) -> None:
    """Serve the application on a listening socket until a signal, then finish what runs.

    SIGTERM and SIGINT leave it the drain that ``fastanchor.endings`` knows; after SIGHUP, when another process serves
    already, what runs has all the time it needs.
    """
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
        timeout_keep_alive=_IDLE_S,
        **options,
    )
    logger.info("server.serving", extra={"port": listener.getsockname()[1]})
    server = _Server(config, when_ready)
    signal.signal(signal.SIGHUP, server.make_way)
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends the dashboards' live streams first: they never end by themselves and would use up the drain."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, and say so."""
        await super().startup(sockets)
        if self.started:
            self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        self.config.timeout_graceful_shutdown = int(endings.patience_s())
        await live.end_all()
        await super().shutdown(sockets)

    def make_way(self, _signal_number: int, _frame: FrameType | None) -> None:
        """Take no new connections and let what runs come to its end: a successor serves."""
        endings.be_patient()
        self.should_exit = True


def _exit_cleanly(_signal_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
