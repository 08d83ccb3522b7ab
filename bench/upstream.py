"""The fake upstream in Python, for machines without a C compiler; answers like native/upstream.c, byte for byte.

Run as ``python -m bench.upstream PORT_FILE``.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path
from typing import cast

import httptools
import uvloop

CHUNKS = 100
STEP_S = 0.000618033
REPLY = (
    b'{"id":"chatcmpl-bench00000000000000000000000","object":"chat.completion","created":1764000000,'
    b'"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":'
    b'"An anchor holds a ship in place. A gateway does the same for a program.","refusal":null,'
    b'"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":57,'
    b'"completion_tokens":100,"total_tokens":157,"prompt_tokens_details":{"cached_tokens":0,'
    b'"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,'
    b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default",'
    b'"system_fingerprint":"fp_bench00000"}'
)
MODELS = (
    b'{"object":"list","data":[{"id":"gpt-4o","object":"model","created":1764000000,"owned_by":"bench"}]}'
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
EVENT_START = (
    b'data: {"id":"chatcmpl-bench00000000000000000000000","object":"chat.completion.chunk",'
    b'"created":1764000000,"model":"gpt-4o-2024-08-06","service_tier":"default",'
    b'"system_fingerprint":"fp_bench00000","choices":['
)
FINISH = b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]%b}\n\n'
USAGE = (
    b'],"usage":{"prompt_tokens":57,"completion_tokens":100,"total_tokens":157,'
    b'"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}\n\n'
)
_STREAM = re.compile(rb'"stream"[ :]*t')
_INCLUDE_USAGE = re.compile(rb'"include_usage"[ :]*t')
_CHUNKS = re.compile(rb"\[chunks=(\d+)")
_SPACING = re.compile(rb"spacing_us=(\d+)")


def _frame(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


def _event(*, asked_usage: bool) -> bytes:
    usage, padding = (b'"usage":null,', b"aB3") if asked_usage else (b"", b"aB3dE5fG7hJ9kL1m")
    return _frame(
        EVENT_START
        + b'{"index":0,"delta":{"content":"@%019d@"},"logprobs":null,"finish_reason":null}],%b"obfuscation":"%b"}\n\n'
        % (time.monotonic_ns(), usage, padding)
    )


def _end(*, asked_usage: bool) -> bytes:
    events = [EVENT_START + FINISH % (b',"usage":null' if asked_usage else b"")]
    if asked_usage:
        events.append(EVENT_START + USAGE)
    events.append(b"data: [DONE]\n\n")
    return b"".join(_frame(event) for event in events) + b"0\r\n\r\n"


def _number(pattern: re.Pattern[bytes], body: bytes, default: int) -> int:
    found = pattern.search(body)
    return int(found[1]) if found else default


class Upstream(asyncio.Protocol):
    """One keep-alive connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start reading requests."""
        self.transport = cast("asyncio.Transport", transport)
        self.parser = httptools.HttpRequestParser(self)
        self.body = bytearray()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; it calls back below."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_body(self, body: bytes) -> None:
        """Collect the request's body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Answer the request."""
        body, self.body = bytes(self.body), bytearray()
        if self.parser.get_method() == b"GET":
            self._reply(MODELS)
        elif not _STREAM.search(body):
            self._reply(REPLY)
        else:
            self.transport.write(STREAM_HEAD)
            self.left = _number(_CHUNKS, body, CHUNKS)
            self.spacing_s = _number(_SPACING, body, 0) / 1e6
            self.asked_usage = bool(_INCLUDE_USAGE.search(body))
            loop = asyncio.get_running_loop()
            # Streams begin out of step with each other, as real ones do.
            phase_s = self.transport.get_extra_info("socket").fileno() * STEP_S % (self.spacing_s or 1e-9)
            self.due = loop.time() + phase_s
            loop.call_at(self.due, self._send_due)

    def _reply(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)

    def _send_due(self) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(_event(asked_usage=self.asked_usage))
        self.left -= 1
        if not self.left:
            self.transport.write(_end(asked_usage=self.asked_usage))
            return
        self.due += self.spacing_s
        asyncio.get_running_loop().call_at(self.due, self._send_due)


async def serve(port_file: Path) -> None:
    """Listen on a free loopback port, write it to ``port_file`` and serve until killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=4096)
    announce(server, port_file)
    await server.serve_forever()


def announce(server: asyncio.Server, port_file: Path) -> None:
    """Write the port of a server where its starter waits for it."""
    port_file.write_text(f"{server.sockets[0].getsockname()[1]}\n", encoding="ascii")


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
