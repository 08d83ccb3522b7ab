"""The ASGI application: routes, refusals, and the tests' control of it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs

import msgspec

from fastanchor.local.sandbox import extras, openai_errors
from fastanchor.local.sandbox.answers import Answer, Choice, compose, count
from fastanchor.local.sandbox.azure import Azure
from fastanchor.local.sandbox.bedrock import PATH as BEDROCK_PATH, Bedrock
from fastanchor.local.sandbox.chat import Chat
from fastanchor.local.sandbox.conversation import BadRequest, PrefixCache
from fastanchor.local.sandbox.deepseek import DeepSeek
from fastanchor.local.sandbox.dialect import Asked, Dialect, Http, Said, refusal
from fastanchor.local.sandbox.directives import BadDirective, Directive, parse_pairs
from fastanchor.local.sandbox.gemini import PATH as GEMINI_PATH, Gemini
from fastanchor.local.sandbox.log import Entry, RequestLog
from fastanchor.local.sandbox.messages import Messages
from fastanchor.local.sandbox.mistral import Mistral
from fastanchor.local.sandbox.playback import BrokenOff, Outgoing, Pace, Playback, Send
from fastanchor.local.sandbox.qwen import ONLY_STREAMS, Qwen
from fastanchor.local.sandbox.responses import Responses
from fastanchor.local.sandbox.responses_memory import Memory

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_RESPONSE = "/v1/responses/"
# What reading stumbles over where a value has another type than the protocol gives it.
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError)
_BLOCKED = Answer((Choice((), (), "filter"),))
_NONCE = re.compile(rb"\[\[sandbox[^\]]*?\bnonce=(\w+)")


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
    """One request, where it came from and what it orders."""

    dialect: Dialect
    http: Http
    order: Directive
    transport: asyncio.Transport
    entry: Entry


class Sandbox:
    """Every provider in one; ``fail_status`` makes it refuse every request."""

    def __init__(self, *, pace: Pace, fail_status: int = 0) -> None:
        self._pace = pace
        self._fail_status = fail_status
        self._log = RequestLog()
        self._prefixes = PrefixCache()
        self._failure = Failure(status=500, count=0)
        self._chat, self._gemini = Chat(), Gemini()
        self._messages, self._responses = Messages(), Responses()
        self._bedrock = Bedrock()
        self._dialects: dict[str, Dialect] = {
            "/v1/chat/completions": self._chat,
            "/v1/responses": self._responses,
            "/anthropic/v1/messages": self._messages,
            "/azure/openai/v1/chat/completions": Azure(),
            "/azure/openai/v1/responses": self._responses,
            "/deepseek/chat/completions": DeepSeek(),
            "/deepseek/v1/chat/completions": DeepSeek(),
            "/deepseek/beta/chat/completions": DeepSeek(),
            "/qwen/v1/chat/completions": Qwen(),
            "/mistral/v1/chat/completions": Mistral(),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        out = Outgoing(send)
        method, path = scope["method"], scope["path"]
        if path.startswith("/__"):
            await self._control(scope, receive, out)
        elif path == "/healthz":
            await out.json(200, {"status": "ok"})
        elif method == "POST":
            await self._answer(await _http(scope, receive), scope, receive, out)
        elif method == "GET" and path.endswith("/models"):
            await out.json(200, openai_errors.models())
        elif path.startswith(_RESPONSE):
            await _stored(self._responses.memory, method, path.removeprefix(_RESPONSE), out)
        else:
            await _unknown(method, path, out)

    async def _control(self, scope: Scope, receive: Receive, out: Outgoing) -> None:
        match scope["method"], scope["path"]:
            case "GET", "/__log":
                nonce = parse_qs(scope["query_string"].decode()).get("nonce", [None])[0]
                await out.json(200, self._log.report(nonce))
            case "POST", "/__fail":
                self._failure = msgspec.json.decode(await _body(receive), type=Failure)
                await out.json(200, {"ok": True})
            case "POST", "/__reset":
                self._forget()
                await out.json(200, {"ok": True})
            case method, path:
                await _unknown(method, path, out)

    def _forget(self) -> None:
        self._log.clear()
        self._prefixes.clear()
        self._messages.cache.clear()
        self._bedrock.cache.clear()
        self._responses.memory.clear()
        self._failure = Failure(status=500, count=0)

    async def _answer(self, http: Http, scope: Scope, receive: Receive, out: Outgoing) -> None:
        dialect = self._dialect(http.path)
        if dialect is None:
            await _unknown("POST", http.path, out)
            return
        out.usual = dialect.headers()
        try:
            work = self._work(dialect, http, scope, out)
        except (BadRequest, BadDirective, *_MALFORMED) as exc:
            refused = exc if isinstance(exc, BadRequest) else BadRequest(str(exc) or "Malformed request.")
            self._log_refused(http, dialect.name, refused.status)
            await out.json(refused.status, dialect.error(refused), **dialect.error_headers(refused))
            return
        if work is not None:
            await _until_client_leaves(work[1], receive, work[0])

    def _dialect(self, path: str) -> Dialect | None:
        if GEMINI_PATH.fullmatch(path):
            return self._gemini
        if BEDROCK_PATH.fullmatch(path):
            return self._bedrock
        if path == "/anthropic/v1/messages/count_tokens":
            return self._messages
        return self._chat if path in extras.PATHS else self._dialects.get(path)

    def _work(
        self, dialect: Dialect, http: Http, scope: Scope, out: Outgoing
    ) -> tuple[Entry, Awaitable[None]]:
        """Read a request; return its entry in the log and the work of answering it."""
        header = parse_pairs(http.headers["x-sandbox"]) if http.headers.get("x-sandbox") else None
        transport = scope["fastanchor.transport"]
        if http.path in extras.PATHS:
            extra = extras.read_extra(http, header)
            entry = self._entry(http, extra.model, extra.order, http.path.rpartition("/")[2], is_stream=False)
            call = Call(dialect, http, extra.order, transport, entry)
            return entry, self._respond(call, out, lambda: _play_extra(extra, entry, out))
        if http.path.endswith(("/count_tokens", ":countTokens")):
            counted = cast("Messages | Gemini", dialect).count(http)
            entry = self._entry(http, "", header or Directive(), f"{dialect.name}-count", is_stream=False)
            call = Call(dialect, http, header or Directive(), transport, entry)
            return entry, self._respond(call, out, lambda: _send_count(counted, entry, out))
        asked = dialect.read(http)
        order = header or asked.talk.order()
        answer = _BLOCKED if order.blocked else compose(asked.talk, order)
        entry = self._entry(http, asked.talk.model, order, dialect.name, is_stream=asked.talk.is_stream)
        call = Call(dialect, http, order, transport, entry)
        return entry, self._respond(call, out, lambda: self._play(call, asked, answer, out))

    def _log_refused(self, http: Http, protocol: str, status: int) -> None:
        """Remember a request that could not be read, for whoever wonders what was wrong with it."""
        nonce = _NONCE.search(http.body)
        entry = Entry("", protocol, http.path, status=status, outcome="refused")
        if nonce and http.headers.get("content-type", "").startswith("application/json"):
            entry.nonce, entry.headers = nonce.group(1).decode(), dict(http.headers)
            with contextlib.suppress(msgspec.DecodeError):
                entry.body = msgspec.json.encode(msgspec.json.decode(http.body))
        self._log.add(entry)

    def _entry(self, http: Http, model: str, order: Directive, protocol: str, *, is_stream: bool) -> Entry:
        entry = Entry(model, protocol, http.path, nonce=order.nonce, stream=is_stream, status=200)
        if order.nonce:
            entry.body, entry.headers = http.body, dict(http.headers)
        self._log.add(entry)
        return entry

    async def _respond(self, call: Call, out: Outgoing, play: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(call.order.header_ms / 1000)
        if call.order.drop:
            call.entry.outcome = "cut"
            call.transport.abort()
        elif refused := self._refusal(call):
            failure, status = refused
            call.entry.status, call.entry.outcome = status, "refused"
            words = _words(call, failure)
            extra = call.dialect.error_headers(words)
            if failure.retry_after is not None:
                extra["retry-after"] = str(failure.retry_after)
            await out.json(status, call.dialect.error(words), **extra)
        else:
            try:
                await play()
            except BrokenOff:
                # Returning from an unfinished response makes the server close the connection.
                call.entry.outcome = "cut"

    def _refusal(self, call: Call) -> tuple[Failure, int] | None:
        order = call.order
        if order.key and call.http.credential() != order.key:
            status = 400 if call.dialect.name == "gemini" else 401
            return Failure(status=401), status
        if order.error:
            return Failure(status=order.error, retry_after=order.retry_after), order.error
        if self._failure.strikes():
            return self._failure, self._failure.status
        if self._fail_status:
            return Failure(status=self._fail_status), self._fail_status
        if (order.must_stream and not call.entry.stream) or (order.blocked and call.dialect.blocked()):
            return Failure(status=400), 400
        return None

    async def _play(self, call: Call, asked: Asked, answer: Answer, out: Outgoing) -> None:
        order, talk = call.order, asked.talk
        cached = call.dialect.cached(asked) or (self._prefixes.tokens_cached(talk), (0, 0))
        counted = count(answer, order, prompt=talk.tokens(), cached=cached[0], written=cached[1])
        call.entry.prompt_tokens = counted.input
        voice = asked.voice(Said(answer, counted, order, order.model or talk.model))
        pace = Pace(
            first_ms=self._pace.first_ms if order.first_ms is None else order.first_ms,
            delay_ms=self._pace.delay_ms if order.delay_ms is None else order.delay_ms,
        )
        playback = Playback(
            call.dialect,
            voice,
            call.dialect.frames(order),
            order,
            answer,
            talk.is_stream,
            counted.output,
            pace,
            out,
            call.entry,
        )
        await playback.play()


def _words(call: Call, failure: Failure) -> BadRequest:
    """Return what a refusal says."""
    order = call.order
    if order.key and failure.status == 401 and call.dialect.name == "gemini":
        message = "API key not valid. Please pass a valid API key."
        return BadRequest(message, kind="API_KEY_INVALID")
    if order.blocked and not order.error and failure.status == 400:
        return call.dialect.blocked() or refusal(400)
    if order.must_stream and not order.error and failure.status == 400:
        return BadRequest(ONLY_STREAMS)
    refused = refusal(failure.status)
    refused.param = order.param or None
    return refused


async def _play_extra(extra: extras.Extra, entry: Entry, out: Outgoing) -> None:
    entry.prompt_tokens = extra.input_tokens
    body = extra.make()
    if extra.order.close_after is not None:
        await out.start(200, extra.content_type, {"content-length": str(len(body))})
        await out.write(body[: len(body) // 2])
        raise BrokenOff
    entry.count(1)
    entry.outcome = "finished"
    entry.completion_tokens = 0
    await out.whole(200, body, extra.content_type)


async def _send_count(counted: dict[str, Any], entry: Entry, out: Outgoing) -> None:
    entry.outcome = "finished"
    await out.json(200, counted)


async def _stored(memory: Memory, method: str, response_id: str, out: Outgoing) -> None:
    """Serve what was stored: a response, its end, or its input items."""
    body = memory.body(response_id.removesuffix("/input_items"))
    if body is None:
        message = f"Response with id '{response_id}' not found."
        await out.json(404, openai_errors.body(BadRequest(message, status=404)))
    elif method == "DELETE":
        memory.forget(response_id)
        await out.json(200, {"id": response_id, "object": "response.deleted", "deleted": True})
    else:
        await out.json(200, body)


async def _unknown(method: str, path: str, out: Outgoing) -> None:
    await out.json(404, openai_errors.body(BadRequest(f"Invalid URL ({method} {path})", status=404)))


async def _http(scope: Scope, receive: Receive) -> Http:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
    return Http(scope["path"], query, headers, await _body(receive))


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


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
