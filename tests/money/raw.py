"""A bare HTTP client that can send volleys and hang up where it likes, which no SDK would."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit


def chat_body(prompt: str, *, model: str = "gpt-4o", **fields: Any) -> bytes:
    """Return the body of a chat completion with one user message."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}], **fields}).encode()


def _message(base_url: str, key: str, body: bytes) -> bytes:
    parts = urlsplit(base_url)
    head = (
        f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _ask(base_url: str, key: str, body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(_message(base_url, key, body))
        raw = await reader.read()
    finally:
        writer.close()
    head, _, answer = raw.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if head else 0, answer


async def volley(base_urls: Sequence[str], key: str, body: bytes, count: int) -> list[tuple[int, bytes]]:
    """Send ``count`` requests at once over all base URLs in turn; return status and answer of each."""
    calls = (_ask(base_urls[number % len(base_urls)], key, body) for number in range(count))
    return await asyncio.gather(*calls)


async def hang_up_after(base_url: str, key: str, body: bytes, events: int) -> int:
    """Read that many events of a stream, then close the connection; return how many were read."""
    parts = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    seen = 0
    try:
        writer.write(_message(base_url, key, body))
        while seen < events and (line := await reader.readline()):
            seen += line.startswith(b"data:")
    finally:
        await _abort(writer)
    return seen


async def leave_after(base_url: str, key: str, body: bytes, seconds: float) -> None:
    """Send a request and close the connection after a while, whatever has come."""
    parts = urlsplit(base_url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(_message(base_url, key, body))
    await asyncio.sleep(seconds)
    await _abort(writer)


async def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    # The socket is closed in a later turn of the loop.
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
