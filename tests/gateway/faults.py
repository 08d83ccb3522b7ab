"""Thirty-four ways in which an upstream can fail, each as it looks on the wire, and what a caller sees of it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from tests.gateway.house import SSE_END, SSE_HEAD, Script, chunked, completion, event, whole

SECRET = "sk-live-SECRET"


class Seen(Enum):
    """What a caller sees where no other channel helps."""

    # 503: there is nobody to ask.
    UNREACHABLE = "unreachable"
    # 500: somebody was asked, and that was no answer.
    FAILED = "failed"
    # 400: what was asked is wrong and would be anywhere, so nobody else is asked.
    REFUSED = "refused"
    # The answer had begun: an error in the stream. What was delivered is paid for, whoever else could have served.
    BROKEN = "broken"
    # An answer; what no report tells of is estimated.
    SERVED = "served"
    # An answer that ends where its hold does.
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Fault:
    """What an upstream does when it is asked for a whole answer and for a stream, and what is seen of each.

    ``base_url`` replaces the channel's, for faults before a connection; ``{port}`` in it is the upstream's.
    """

    name: str
    whole: Script
    stream: Script
    seen: Seen
    seen_in_stream: Seen
    base_url: str = ""


class End(Enum):
    """What becomes of the connection."""

    NEXT = "the next request is served on it"
    CLOSE = "it is closed"
    RESET = "it is reset"
    SILENCE = "it stays, and nothing more comes"


def _says(*parts: bytes, end: End = End.NEXT) -> Script:
    return _goes_on(b"", parts, end=end)


def _goes_on(head: bytes, pieces: Iterable[bytes], *, pause_s: float = 0.0, end: End = End.CLOSE) -> Script:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if end is End.SILENCE:
            await asyncio.sleep(_SILENCE_S)
        elif end is End.RESET:
            # What was written must have arrived: a reset overtakes it.
            await asyncio.sleep(0.05)
            writer.transport.abort()
        if end is not End.NEXT:
            writer.close()

    return script


def _error(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "error", "param": None, "code": code}}).encode()


def _same(name: str, script: Script, seen: Seen, *, base_url: str = "") -> Fault:
    return Fault(name, script, script, seen, seen, base_url)


def _status(line: str, seen: Seen, body: bytes = b"{}", headers: str = "") -> Fault:
    return _same(line, _says(whole(body, line, headers)), seen)


# Longer than any test waits.
_SILENCE_S = 20.0
_LINE_BYTES = 50_000_000
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_DRIPPING = b"HTTP/1.1 200 OK\r\nx-drip: "
_GZIP = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 20\r\n\r\n\x1f\x8b" + b"\0" * 18
_MANY = b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(20_000)) + b"\r\n"
_BODY = completion()
_CUT = _JSON + b"content-length: %d\r\n\r\n" % len(_BODY) + _BODY[:40]
_BEGUN = SSE_HEAD + event("one") + event("two")
_BLOCKS = [b"x" * 65_536] * (_LINE_BYTES // 65_536)
_NOTHING = _says(end=End.SILENCE)

_NOBODY = (
    _same("refused", _NOTHING, Seen.UNREACHABLE, base_url="http://127.0.0.1:1/v1"),
    _same("no such name", _NOTHING, Seen.UNREACHABLE, base_url="http://nowhere.invalid/v1"),
    _same("TLS with a plain port", _NOTHING, Seen.UNREACHABLE, base_url="https://127.0.0.1:{port}/v1"),
    _same("closed without a word", _says(end=End.CLOSE), Seen.UNREACHABLE),
    _same("reset without a word", _says(end=End.RESET), Seen.UNREACHABLE),
)
_NO_ANSWER = (
    _same("closed within the head", _says(b"HTTP/1.1 200 OK\r\ncontent-le", end=End.CLOSE), Seen.FAILED),
    _same("silence", _NOTHING, Seen.FAILED),
    _same("a head that drips", _goes_on(_DRIPPING, [b"x"] * 600, pause_s=0.05), Seen.FAILED),
    _same("another protocol", _says(b"SSH-2.0-OpenSSH_9.2\r\n", end=End.SILENCE), Seen.FAILED),
    _same("a header without end", _goes_on(_DRIPPING, _BLOCKS), Seen.FAILED),
    _same("20,000 headers", _says(_MANY, end=End.CLOSE), Seen.FAILED),
)
_STATUSES = (
    _status("500 Internal Server Error", Seen.FAILED, _error(f"{SECRET} at 10.0.0.7 failed")),
    _status("502 Bad Gateway", Seen.FAILED, b"<html>nginx</html>"),
    _status("503 Service Unavailable", Seen.FAILED),
    _status("529 Overloaded", Seen.FAILED),
    _status("429 Too Many Requests", Seen.UNREACHABLE, _error("slow down"), "retry-after: 7\r\n"),
    _same(
        "429 for ages",
        _says(whole(b"{}", "429 Too Many Requests", f"retry-after: 9{'0' * 20}\r\n")),
        Seen.UNREACHABLE,
    ),
    _status("401 Unauthorized", Seen.UNREACHABLE, _error(f"Incorrect API key provided: {SECRET}")),
    _status("402 Payment Required", Seen.UNREACHABLE, _error("insufficient balance")),
    _status("403 Forbidden", Seen.UNREACHABLE, _error("not allowed")),
    _status("404 Not Found", Seen.UNREACHABLE, _error("no such model")),
    _status("302 Found", Seen.UNREACHABLE, b"", "location: http://169.254.169.254/latest\r\n"),
    _status("400 Bad Request", Seen.REFUSED, _error("too long", "context_length_exceeded")),
)
_HOLLOW = (
    _same("a page", _says(whole(b"<html>log in</html>", headers="content-type: text/html\r\n")), Seen.FAILED),
    _same("an empty answer", _says(whole(b"")), Seen.FAILED),
    _same("a body packed unasked", _says(_GZIP), Seen.FAILED),
    Fault(
        "an error within 200",
        _says(whole(_error("overloaded", "server_error"))),
        _says(SSE_HEAD + chunked(b"data: " + _error("overloaded") + b"\n\n") + SSE_END),
        Seen.FAILED,
        Seen.FAILED,
    ),
    Fault(
        "signs of life, and no content",
        _goes_on(_JSON + b"transfer-encoding: chunked\r\n\r\n", [chunked(b" ")] * 600, pause_s=0.05),
        _goes_on(SSE_HEAD, [chunked(b": ping\n\n")] * 600, pause_s=0.05),
        Seen.FAILED,
        Seen.FAILED,
    ),
)
_MIDWAY = (
    Fault("a stall", _says(_CUT, end=End.SILENCE), _says(_BEGUN, end=End.SILENCE), Seen.FAILED, Seen.BROKEN),
    Fault("a reset", _says(_CUT, end=End.RESET), _says(_BEGUN, end=End.RESET), Seen.FAILED, Seen.BROKEN),
    Fault("cut short", _says(_CUT, end=End.CLOSE), _says(_BEGUN, end=End.CLOSE), Seen.FAILED, Seen.BROKEN),
    Fault(
        "a line without end",
        _goes_on(_JSON + b"content-length: 500000000\r\n\r\n", _BLOCKS * 2),
        _goes_on(_BEGUN + b"%x\r\ndata: " % _LINE_BYTES, _BLOCKS),
        Seen.FAILED,
        Seen.BROKEN,
    ),
    Fault(
        "an answer without end",
        _goes_on(_JSON + b"transfer-encoding: chunked\r\n\r\n", [chunked(b'["x",')] * 600, pause_s=0.05),
        _goes_on(SSE_HEAD, itertools.repeat(event("word " * 20), 5_000)),
        Seen.FAILED,
        Seen.CUT,
    ),
    Fault(
        "a clean end without a report",
        _says(whole(completion(usage=None))),
        _says(_BEGUN + SSE_END),
        Seen.SERVED,
        Seen.BROKEN,
    ),
)
FAULTS = (*_NOBODY, *_NO_ANSWER, *_STATUSES, *_HOLLOW, *_MIDWAY)
