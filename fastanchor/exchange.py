"""A request that has come whole and an answer that goes out whole, past the messages of ASGI.

Nearly every call of a hot endpoint is of this kind. Going through ``receive`` and ``send`` costs it a tenth of its
instructions and a second write to the socket. The server offers an ``Exchange`` in the scope's state
(``gateway.app.EXCHANGE``); where the case is not the plain one, the messages serve.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


class Exchange:
    """One request and its answer, on uvicorn's cycle, which it leaves as ``receive`` and ``send`` would."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def take_body(self) -> bytes | None:
        """Return the whole body if it is here; ``None`` where there is something to wait for, or nobody is there."""
        cycle = self._cycle
        if cycle.more_body or cycle.waiting_for_100_continue or cycle.disconnected:
            return None
        body = bytes(cycle.body)
        cycle.body = bytearray()
        cycle.message_event.clear()
        cycle.flow.resume_reading()
        return body

    async def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send a whole answer, once there is room for it; does nothing when the caller is gone.

        ``content-length`` is added. Raises ``ValueError`` for a header that would break its line.
        """
        head = "".join([f"{name}: {value}\r\n" for name, value in headers])
        if not head.count("\r") == head.count("\n") == len(headers):
            message = "A header holds a line break."
            raise ValueError(message)
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if not cycle.disconnected:
            self._write(status, head, body)

    def _write(self, status: int, head: str, body: bytes) -> None:
        cycle = self._cycle
        cycle.response_started = True
        close = "" if cycle.keep_alive else "connection: close\r\n"
        common = [part for name, value in cycle.default_headers for part in (name, b": ", value, b"\r\n")]
        rest = f"{head}content-length: {len(body)}\r\n{close}\r\n".encode()
        cycle.transport.write(b"".join([STATUS_LINE[status], *common, rest, body]))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
