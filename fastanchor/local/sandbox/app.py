"""The ASGI application: routes, refusals, and the tests' control of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec

from fastanchor.local.sandbox import wire
from fastanchor.local.sandbox.answers import compose
from fastanchor.local.sandbox.chat_request import (
    BadRequest,
    ChatRequest,
    PrefixCache,
    count_prompt,
    directive_of,
    read_request,
)
from fastanchor.local.sandbox.directives import BadDirective, Directive
from fastanchor.local.sandbox.log import Entry, RequestLog
from fastanchor.local.sandbox.playback import BrokenOff, Outgoing, Pace, Playback, Send

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Failure(msgspec.Struct):
    """Requests yet to be refused; a negative count means all of them."""

    status: int
    count: int = 1
    retry_after: int | None = None

    def strikes(self) -> bool:
        """Say whether the next request is refused, and count it."""
        if self.count > 0:
            self.count -= 1
            return True
        return self.count < 0


@dataclass(frozen=True, slots=True)
class Call:
    """One chat request and where it came from."""

    request: ChatRequest
    order: Directive
    authorization: str
    transport: asyncio.Transport
    entry: Entry


class Sandbox:
    """One provider; ``fail_status`` makes it refuse every request."""

    def __init__(self, *, pace: Pace, fail_status: int = 0) -> None:
        self._pace = pace
        self._fail_status = fail_status
        self._log = RequestLog()
        self._prefixes = PrefixCache()
        self._failure = Failure(status=500, count=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        out = Outgoing(send)
        match scope["method"], scope["path"]:
            case "POST", "/v1/chat/completions":
                await self._chat(scope, receive, out)
            case "GET", "/v1/models":
                await out.json(200, wire.models())
            case "GET", "/healthz":
                await out.json(200, {"status": "ok"})
            case _, path if path.startswith("/__"):
                await self._control(scope, receive, out)
            case method, path:
                await out.json(404, wire.error(404, f"Invalid URL ({method} {path})"))

    async def _control(self, scope: Scope, receive: Receive, out: Outgoing) -> None:
        match scope["method"], scope["path"]:
            case "GET", "/__log":
                nonce = parse_qs(scope["query_string"].decode()).get("nonce", [None])[0]
                await out.json(200, self._log.report(nonce))
            case "POST", "/__fail":
                self._failure = msgspec.json.decode(await _body(receive), type=Failure)
                await out.json(200, {"ok": True})
            case "POST", "/__reset":
                self._log.clear()
                self._prefixes.clear()
                self._failure = Failure(status=500, count=0)
                await out.json(200, {"ok": True})
            case method, path:
                await out.json(404, wire.error(404, f"Invalid URL ({method} {path})"))

    async def _chat(self, scope: Scope, receive: Receive, out: Outgoing) -> None:
        body = await _body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            request = read_request(body)
            order = directive_of(request, headers.get("x-sandbox"))
        except (BadRequest, BadDirective) as exc:
            await out.json(400, wire.error(400, str(exc), getattr(exc, "param", None)))
            return
        entry = Entry(model=request.model, nonce=order.nonce, stream=bool(request.stream), status=200)
        if order.nonce:
            entry.body, entry.headers = body, headers
        self._log.add(entry)
        call = Call(request, order, headers.get("authorization", ""), scope["fastanchor.transport"], entry)
        await _until_client_leaves(self._respond(call, out), receive, entry)

    async def _respond(self, call: Call, out: Outgoing) -> None:
        await asyncio.sleep(call.order.header_ms / 1000)
        if call.order.drop:
            call.entry.outcome = "cut"
            call.transport.abort()
        elif refusal := self._refusal(call):
            call.entry.status, call.entry.outcome = refusal.status, "refused"
            await _refuse(out, refusal)
        else:
            await self._play(call, out)

    def _refusal(self, call: Call) -> Failure | None:
        order = call.order
        if order.key and call.authorization != f"Bearer {order.key}":
            return Failure(status=401)
        if order.error:
            return Failure(status=order.error, retry_after=order.retry_after)
        if self._failure.strikes():
            return self._failure
        return Failure(status=self._fail_status) if self._fail_status else None

    async def _play(self, call: Call, out: Outgoing) -> None:
        request, order = call.request, call.order
        answer = compose(request, order)
        counted = wire.usage(
            answer,
            order,
            prompt_tokens=count_prompt(request),
            cached_tokens=self._prefixes.tokens_cached(request),
        )
        call.entry.prompt_tokens = counted["prompt_tokens"]
        pace = Pace(
            first_ms=self._pace.first_ms if order.first_ms is None else order.first_ms,
            delay_ms=self._pace.delay_ms if order.delay_ms is None else order.delay_ms,
        )
        try:
            await Playback(request, order, answer, counted, pace, out, call.entry).play()
        except BrokenOff:
            # Returning from an unfinished response makes the server close the connection.
            call.entry.outcome = "cut"


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _refuse(out: Outgoing, refusal: Failure) -> None:
    extra = {} if refusal.retry_after is None else {"retry-after": str(refusal.retry_after)}
    await out.json(refusal.status, wire.error(refusal.status), **extra)


async def _until_client_leaves(work: Any, receive: Receive, entry: Entry) -> None:
    """Run ``work``, but end it at once when the client hangs up."""
    answering = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(receive())
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        was_cut_short = answering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await answering
    if was_cut_short and entry.outcome == "running":
        entry.outcome = "aborted"
