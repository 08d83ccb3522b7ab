"""The ASGI application: keys, operations, idempotency, faults, pages, orders."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from fastanchor.lib.ids import random_base62
from fastanchor.local.fakestripe import control, idempotency, pages, timers
from fastanchor.local.fakestripe.calls import Call
from fastanchor.local.fakestripe.control import Control
from fastanchor.local.fakestripe.delivery import Post
from fastanchor.local.fakestripe.errors import StripeError
from fastanchor.local.fakestripe.expansion import expanded
from fastanchor.local.fakestripe.faults import Fault, Weather
from fastanchor.local.fakestripe.form import parse
from fastanchor.local.fakestripe.idempotency import Reply
from fastanchor.local.fakestripe.parameters import read
from fastanchor.local.fakestripe.routes import ROUTES, find
from fastanchor.local.fakestripe.world import VERSION, World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)

_TICK_S = 0.2
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_PAGES = ("/c/", "/3ds/", "/i/", "/receipts/")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    text: str

    @property
    def key(self) -> str:
        """Return the idempotency key, which only POST has."""
        return self.headers.get("idempotency-key", "") if self.method == "POST" else ""


class FakeStripe:
    """One account of Stripe, its pages, its webhooks and the orders of tests."""

    def __init__(self, world: World, post: Post) -> None:
        """Serve ``world`` and let ``post`` carry its events."""
        self._world = world
        self._post = post
        self._weather = Weather()
        self._control = Control(world, post, self._weather)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or live until the server stops."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        background = [asyncio.create_task(self._post.run()), asyncio.create_task(self._tick())]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        self._world.save()
        await send({"type": "lifespan.shutdown.complete"})

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            if timers.run(self._world):
                self._finish()

    def _finish(self) -> None:
        """Send what happened and write it down."""
        self._post.take()
        self._world.save()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive)
        self._world.base_url = f"{scope['scheme']}://{headers.get('host', '127.0.0.1')}"
        if timers.run(self._world):
            self._finish()
        path: str = scope["path"]
        if path.startswith(control.PATH):
            await self._order(scope, headers, body, send)
        elif path.startswith("/v1/"):
            text = (
                scope["query_string"].decode("latin-1")
                if scope["method"] == "GET"
                else body.decode(errors="replace")
            )
            await self._api(Request(scope["method"], path, headers, text), scope, send)
        elif path.startswith(_PAGES):
            await self._page(scope["method"], path, body, send)
        elif path == "/healthz":
            await _send(send, 200, b'{"status":"ok"}')
        else:
            await _send_error(send, _unknown(scope["method"], path))

    async def _order(self, scope: Scope, headers: dict[str, str], body: bytes, send: Send) -> None:
        if not control.is_from_here(scope["client"], headers.get("host", "")):
            await _send_error(send, _unknown(scope["method"], scope["path"]))
            return
        try:
            told = await self._control.answer(scope["method"], scope["path"], body)
        except (control.Refused, KeyError) as exc:
            await _send(send, 400, msgspec.json.encode({"error": str(exc)}))
            return
        self._finish()
        await _send(send, 200, msgspec.json.encode(told))

    async def _page(self, method: str, path: str, body: bytes, send: Send) -> None:
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        self._world.request_id = self._world.idempotency_key = None
        page = pages.answer(self._world, method, path, form)
        self._finish()
        content = page.body if isinstance(page.body, bytes) else page.body.encode()
        extra = {"cache-control": "no-store", "content-security-policy": _POLICY}
        if page.location:
            extra["location"] = page.location
        await _send(send, page.status, content, page.content_type, **extra)

    async def _api(self, request: Request, scope: Scope, send: Send) -> None:
        request_id = f"req_{random_base62(14)}"
        fault = self._weather.strikes(request.method, request.path)
        if fault is not None and fault.when == "before":
            await _suffer(fault, request_id, scope, send)
            return
        reply = self._answer(request, request_id, fault)
        if request.method != "GET":
            self._finish()
        if fault is not None and not reply.is_replayed:
            await _suffer(fault, request_id, scope, send)
            return
        extra = _headers(request, request_id)
        if reply.is_replayed:
            extra["idempotent-replayed"] = "true"
        await _send(send, reply.status, msgspec.json.encode(reply.body), **extra)

    def _answer(self, request: Request, request_id: str, fault: Fault | None) -> Reply:
        """Answer a call, from memory where its key was seen before."""
        world = self._world
        world.request_id, world.idempotency_key = request_id, request.key or None
        asked = f"{request.method} {request.path} {request.text}"
        try:
            _require_key(request)
            if request.key and (known := idempotency.recall(world, request.key, asked)):
                return known
            reply, is_remembered = Reply(200, self._perform(request)), True
        except StripeError as exc:
            reply, is_remembered = Reply(exc.status, copy.deepcopy(exc.body())), exc.is_remembered
        except Exception:
            logger.exception("The fake has a fault of its own.")
            broken = StripeError("An unknown error occurred", status=500, kind="api_error")
            reply, is_remembered = Reply(500, broken.body()), True
        if request.key and is_remembered:
            kept = reply
            if fault is not None and fault.keeps():
                kept = Reply(fault.status, fault.error().body())
            idempotency.remember(world, request.key, asked, kept)
        return reply

    def _perform(self, request: Request) -> dict[str, Any]:
        found = find(request.method, request.path)
        if found is None:
            raise _unknown(request.method, request.path)
        operation, path = found
        version = request.headers.get("stripe-version", "")
        call = Call(self._world, path, {}, version)
        params = read(operation, parse(request.text), is_endive=call.is_endive)
        answer = ROUTES[operation](replace(call, params=params))
        return expanded(self._world, answer, params.get("expand") or [])


def _require_key(request: Request) -> None:
    """Let in test keys only; raises ``StripeError``."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    key = _user(given) if kind.lower() == "basic" else given.strip()
    if not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth "
            "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
        raise StripeError(message, status=401, is_remembered=False)
    if key.startswith(("sk_live_", "rk_live_")):
        message = "This is a fake of Stripe's test mode: it takes no live key. Keep yours out of here."
        raise StripeError(message, status=401, code="testmode_charges_only", is_remembered=False)
    if not key.startswith("sk_test_"):
        raise StripeError(f"Invalid API Key provided: {key[:8]}****", status=401, is_remembered=False)


def _user(given: str) -> str:
    with contextlib.suppress(ValueError):
        return base64.b64decode(given).decode().partition(":")[0]
    return ""


def _unknown(method: str, path: str) -> StripeError:
    message = (
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/."
    )
    return StripeError(message, status=404, is_remembered=False)


def _headers(request: Request, request_id: str) -> dict[str, str]:
    told = {"request-id": request_id, "stripe-version": request.headers.get("stripe-version", VERSION)}
    if request.key:
        told["idempotency-key"] = request.key
    return told


async def _suffer(fault: Fault, request_id: str, scope: Scope, send: Send) -> None:
    if fault.hang_s is None:
        await _send_error(send, fault.error(), **{"request-id": request_id})
        return
    await asyncio.sleep(fault.hang_s)
    scope["fastanchor.transport"].abort()


async def _send_error(send: Send, error: StripeError, **extra: str) -> None:
    await _send(send, error.status, msgspec.json.encode(error.body()), **extra)


async def _send(
    send: Send, status: int, body: bytes, content_type: str = "application/json", **extra: str
) -> None:
    headers = {"content-type": content_type, "content-length": str(len(body)), **extra}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
