"""The load generator in Python, for machines without a C compiler; arguments and output are those of native/load.c.

It costs more CPU than what it measures: its figures tell less, its checks tell the same.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httptools
import uvloop

GRACE_S = 10.0
LATE_US = 50_000
_STAMP = re.compile(rb"@(\d{19})@")


@dataclass(slots=True)
class Plan:
    """What to send, how often, and what counts as good."""

    port: int
    request: bytes
    connections: int
    seconds: float
    requests: int
    chunks: int
    status: int
    ramp_ms: int


@dataclass(slots=True)
class Tally:
    """What came back; times in microseconds."""

    started: int = 0
    good: int = 0
    bad: int = 0
    errors: int = 0
    served: int = 0
    latency: list[int] = field(default_factory=list)
    chunk_delay: list[int] = field(default_factory=list)
    first_chunk: list[int] = field(default_factory=list)


class Caller(asyncio.Protocol):
    """One keep-alive connection that sends the next request once it has the whole answer."""

    def __init__(self, plan: Plan, tally: Tally, end: float) -> None:
        self.plan, self.tally, self.end = plan, tally, end
        self.is_busy = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self.parser = httptools.HttpResponseParser(self)
        self._start()

    def _start(self) -> None:
        if time.monotonic() >= self.end or self.tally.started >= self.plan.requests:
            self.transport.close()
            return
        self.tally.started += 1
        self.is_busy = True
        self.body, self.events, self.saw_end = b"", 0, False
        self.sent_ns = time.monotonic_ns()
        self.transport.write(self.plan.request)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; it calls back below."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End this caller; what was under way is an error."""
        self.tally.errors += self.is_busy
        if not self.done.done():
            self.done.set_result(None)

    def on_body(self, body: bytes) -> None:
        """Keep a reply, count and forget events; a stamp cut in two stays for the next time."""
        self.body += body
        if not self.plan.chunks:
            return
        now = time.monotonic_ns()
        end = 0
        for stamp in _STAMP.finditer(self.body):
            self.tally.chunk_delay.append((now - int(stamp[1])) // 1000)
            if not self.events:
                self.tally.first_chunk.append((now - self.sent_ns) // 1000)
            self.events += 1
            end = stamp.end()
        self.saw_end = self.saw_end or b"[DONE]" in self.body
        self.body = self.body[end:][-20:]

    def on_message_complete(self) -> None:
        """Judge the answer and go on."""
        self.tally.latency.append((time.monotonic_ns() - self.sent_ns) // 1000)
        self.tally.served += self.parser.get_status_code() == 200
        if self._is_good():
            self.tally.good += 1
        else:
            self.tally.bad += 1
            sys.stderr.write(f"bad answer: {self.parser.get_status_code()}, {self.body[:400]!r}\n")
        self.is_busy = False
        # A fresh parser, because the old one is still inside this callback and reads on after it.
        self.parser = httptools.HttpResponseParser(self)
        self._start()

    def _is_good(self) -> bool:
        status = self.parser.get_status_code()
        if status != self.plan.status or status != 200:
            return bool(status == self.plan.status)
        if self.plan.chunks:
            return self.events == self.plan.chunks and self.saw_end
        return b'"usage"' in self.body


async def _call(plan: Plan, tally: Tally, end: float, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(lambda: Caller(plan, tally, end), "127.0.0.1", plan.port)
    _, late = await asyncio.wait([caller.done], timeout=max(0.0, end - time.monotonic()) + GRACE_S)
    if late:
        caller.transport.abort()


async def run(plan: Plan) -> dict[str, Any]:
    """Carry the plan out and return the figures."""
    tally, begun = Tally(), time.monotonic()
    gap_s = plan.ramp_ms / 1000 / plan.connections
    calls = (_call(plan, tally, begun + plan.seconds, gap_s * index) for index in range(plan.connections))
    await asyncio.gather(*calls)
    # Aborted connections report their error in the next turn.
    await asyncio.sleep(0)
    return {
        "good": tally.good,
        "bad": tally.bad,
        "errors": tally.errors,
        "served": tally.served,
        "late_chunks": sum(delay > LATE_US for delay in tally.chunk_delay),
        "seconds": time.monotonic() - begun,
        "latency_us": _summary(tally.latency),
        "chunk_delay_us": _summary(tally.chunk_delay),
        "first_chunk_us": _summary(tally.first_chunk),
    }


def _summary(samples: list[int]) -> dict[str, int]:
    if not samples:
        return {"count": 0, "p50": 0, "p99": 0, "max": 0}
    ordered, count = sorted(samples), len(samples)
    return {"count": count, "p50": ordered[count // 2], "p99": ordered[count * 99 // 100], "max": ordered[-1]}


def main(words: list[str]) -> None:
    """Run with the arguments of native/load.c and print one JSON line."""
    port, request_file, connections, seconds, requests, chunks, status, ramp_ms = words
    plan = Plan(
        port=int(port),
        request=Path(request_file).read_bytes(),
        connections=int(connections),
        seconds=float(seconds),
        requests=int(requests),
        chunks=int(chunks),
        status=int(status),
        ramp_ms=int(ramp_ms),
    )
    print(json.dumps(uvloop.run(run(plan))))


if __name__ == "__main__":
    main(sys.argv[1:])
