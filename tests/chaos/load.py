"""The load: clients of several customers, in a process of its own.

``python -m tests.chaos.load PLAN`` reads a plan (JSON) and prints every call as one line of JSON once it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import time
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from tests.chaos.calls import Call, Customer, Plan
from tests.money.raw import chat_body

# Longer than any deadline of the product: whoever still waits then waits in vain.
PATIENCE_S = 20.0
# At most so long after an answer, and always so long after a refusal.
_PAUSE_S, _BRISK_PAUSE_S = 0.1, 0.5
_REFUSED_PAUSE_S = 0.2
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_REQUEST_ID = re.compile(rb"^x-request-id: (\S+)\r$", re.MULTILINE)
_LENGTH = re.compile(rb"^content-length: (\d+)\r$", re.MULTILINE)
_ERROR = re.compile(rb'"error":\{[^}]*"code":"(\w+)"')


class Wish(NamedTuple):
    """What a client asks for, and when it hangs up: after so many events of a stream, or so many seconds."""

    directive: str
    max_tokens: int | None
    is_stream: bool
    events: int = 0
    seconds: float = PATIENCE_S


def wish(customer: Customer, source: Random, *, is_brisk: bool) -> Wish:
    """Return one of the ways in which customers call."""
    if is_brisk:
        return _instant(source)
    return source.choice(_POOR if customer.is_poor else _RICH)(source)


def _short(source: Random) -> Wish:
    tokens = source.randint(3, 40)
    return Wish(
        f"tokens={tokens} delay_ms={source.randint(2, 15)}",
        source.choice((None, tokens, 200)),
        is_stream=True,
    )


def _instant(source: Random) -> Wish:
    return Wish(f"tokens={source.randint(1, 9)}", source.choice((None, 10)), is_stream=source.random() < 0.5)


def _long(source: Random) -> Wish:
    return Wish(f"tokens={source.randint(50, 90)} delay_ms=30", source.choice((None, 400)), is_stream=True)


def _whole(source: Random) -> Wish:
    directive = (
        f"tokens={source.randint(2, 30)} first_ms={source.randint(0, 200)} delay_ms={source.randint(0, 15)}"
    )
    return Wish(directive, source.choice((None, 60)), is_stream=False)


def _left_stream(source: Random) -> Wish:
    return Wish(
        f"tokens={source.randint(20, 60)} delay_ms=15",
        100,
        is_stream=True,
        events=source.choice((1, 2, 10, 19)),
    )


def _left_whole(source: Random) -> Wish:
    directive = f"tokens={source.randint(10, 30)} delay_ms=20"
    return Wish(directive, 100, is_stream=False, seconds=source.uniform(0.01, 0.5))


def _costly(source: Random) -> Wish:
    # Its hold is its cost but for a little, so that any hold too few shows in the balance.
    tokens = source.randint(100, 150)
    return Wish(f"tokens={tokens} delay_ms=28", tokens, is_stream=True)


_RICH = (_short, _short, _long, _whole, _whole, _left_stream, _left_whole)
_POOR = (_costly, _costly, _short, _whole)


async def ask(call: Call, base_url: str, key: str, wanted: Wish) -> Call:
    """Make one call and note what came."""
    prompt = f"Now. [[sandbox nonce={call.nonce} {wanted.directive}]]"
    fields: dict[str, Any] = {} if wanted.max_tokens is None else {"max_tokens": wanted.max_tokens}
    body = chat_body(prompt, stream=wanted.is_stream, **fields)
    call.sent_at = time.time()
    try:
        async with asyncio.timeout(wanted.seconds):
            await _exchange(call, base_url, key, body, wanted.events)
    except TimeoutError:
        call.has_hung_up = wanted.seconds < PATIENCE_S
        call.has_waited_in_vain = not call.has_hung_up
    except ConnectionRefusedError:
        call.was_refused = True
    except (OSError, asyncio.IncompleteReadError):
        pass
    call.ended_at = time.time()
    return call


async def _exchange(call: Call, base_url: str, key: str, body: bytes, leave_after: int) -> None:
    parts = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        head = (
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer_head = await reader.readuntil(b"\r\n\r\n")
        _note_head(call, answer_head)
        _note_body(call, answer_head, await _body(call, reader, leave_after))
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _note_head(call: Call, head: bytes) -> None:
    if found := _STATUS.match(head):
        call.status = int(found[1])
    if found := _REQUEST_ID.search(head):
        call.request_id = found[1].decode()


async def _body(call: Call, reader: asyncio.StreamReader, leave_after: int) -> bytes:
    body = b""
    while piece := await reader.read(65_536):
        body += piece
        if leave_after and body.count(b"data: ") >= leave_after:
            call.has_hung_up = True
            break
    return body


def _note_body(call: Call, head: bytes, body: bytes) -> None:
    if found := _ERROR.search(body):
        call.error = found[1].decode()
    length = _LENGTH.search(head)
    call.is_complete = len(body) == int(length[1]) if length else b"data: [DONE]" in body


async def _client(plan: Plan, customer: Customer, name: str, until: float) -> None:
    source = Random(f"{plan.seed}:{name}")
    number, pause_s = 0, _BRISK_PAUSE_S if plan.is_brisk else _PAUSE_S
    # Not all at once.
    await asyncio.sleep(source.uniform(0, 0.3))
    while time.monotonic() < until:
        number += 1
        gateway, wanted = (
            source.randrange(len(plan.base_urls)),
            wish(customer, source, is_brisk=plan.is_brisk),
        )
        nonce = f"{plan.seed}-{name}-{number}"
        call = Call(nonce, customer.organization, customer.is_poor, gateway, wanted.is_stream)
        await ask(call, plan.base_urls[gateway], customer.key, wanted)
        sys.stdout.buffer.write(msgspec.json.encode(call) + b"\n")
        sys.stdout.buffer.flush()
        await asyncio.sleep(source.uniform(0, pause_s) if call.status == 200 else _REFUSED_PAUSE_S)


async def _run(plan: Plan) -> None:
    until = time.monotonic() + plan.seconds
    async with asyncio.TaskGroup() as clients:
        for index, (customer, count) in enumerate(plan.customers):
            for number in range(count):
                clients.create_task(_client(plan, customer, f"{index}-{number}", until))


def main() -> None:
    """Run the plan that the first argument names."""
    asyncio.run(_run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))


if __name__ == "__main__":
    main()
