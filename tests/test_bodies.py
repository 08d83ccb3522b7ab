"""Bodies on their way to Django: what is too late or too large never reaches it, and everybody is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pytest_django import Settings

from fastanchor import bodies
from gateway import app

Message = dict[str, Any]


class Exchange:
    """One request to a tiny application that reads its whole body, as Django does."""

    def __init__(self, path: str, *headers: tuple[bytes, bytes]) -> None:
        self.scope: Message = {"type": "http", "method": "POST", "path": path, "headers": list(headers)}
        self.sent: list[Any] = []
        self.read: bytes | None = None

    async def run(self, receive: Callable[[], Awaitable[Message]]) -> None:
        """Serve it."""
        await asyncio.wait_for(bodies.serve(self._application, self.scope, receive, self._send), 5)

    async def _application(
        self, _scope: Message, receive: Callable[[], Awaitable[Message]], send: Any
    ) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.read = body
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        """Return the status that was sent."""
        return int(self.sent[0]["status"])

    @property
    def answer(self) -> bytes:
        """Return the body that was sent."""
        return b"".join(each["body"] for each in self.sent[1:])


def parts(*sent: bytes, pause_s: float = 0.0) -> Callable[[], Awaitable[Message]]:
    """Return a caller who sends these parts, the last of which ends the body."""
    waiting = list(sent)

    async def receive() -> Message:
        await asyncio.sleep(pause_s)
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    return receive


async def test_a_body_that_comes_is_passed_on() -> None:
    exchange = Exchange("/accounts/login/")

    await exchange.run(parts(b"a", b"b"))

    assert (exchange.status, exchange.read) == (200, b"ab")


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/nothing", "/accounts/login/"])
async def test_a_body_that_drips_is_408_and_read_by_nobody(path: str, settings: Settings) -> None:
    settings.BODY_S = 0.2
    exchange = Exchange(path)

    await exchange.run(parts(*[b"x"] * 100, pause_s=0.05))

    assert (exchange.status, exchange.read) == (408, None)
    assert (b"connection", b"close") in exchange.sent[0]["headers"]


async def test_a_large_body_on_a_slow_line_has_the_time_it_needs(settings: Settings) -> None:
    settings.BODY_S = 0.2
    exchange = Exchange("/v1/messages/count_tokens")

    await exchange.run(parts(*[b"x" * 16_384] * 10, pause_s=0.05))

    assert exchange.status == 200


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_body_too_large_is_413_and_read_by_nobody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *, is_announced: bool
) -> None:
    monkeypatch.setattr(app, "DISCARD_S", 0.1)
    settings.MAX_BODY_BYTES = 1_000
    exchange = Exchange("/v1/nothing", *([(b"content-length", b"2000")] if is_announced else []))

    await exchange.run(parts(*[b"x" * 500] * 4))

    assert (exchange.status, exchange.read) == (413, None)
    assert json.loads(exchange.answer)["error"]["code"] == "request_too_large"
    assert any(name == b"x-request-id" for name, _ in exchange.sent[0]["headers"])


async def test_a_page_takes_less_than_the_interface() -> None:
    size = str(bodies.MAX_PAGE_BYTES + 1).encode()
    page, path = (
        Exchange("/accounts/login/", (b"content-length", size)),
        Exchange("/v1/nothing", (b"content-length", size)),
    )

    await page.run(parts(b"x"))
    await path.run(parts(b"x"))

    assert (page.status, path.status) == (413, 200)
    assert page.answer.startswith(b"The body is larger than 4 MiB")


async def test_an_sdk_of_anthropic_finds_its_own_envelope(settings: Settings) -> None:
    settings.BODY_S = 0.1
    exchange = Exchange("/v1/messages/count_tokens")

    await exchange.run(parts(b"x", b"x", pause_s=0.2))

    assert json.loads(exchange.answer)["type"] == "error"
