"""A gateway put together in the test's own event loop: real Valkey, spool and sockets; only PostgreSQL is played."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import redis
from django.conf import settings

from accounts import tokens
from accounts.archive import Archive, Kept, Loaders
from accounts.keyring import Caller, Keyring
from billing import holds
from billing.spool import Record, Spool, SpoolReader
from catalog.snapshot import Catalog, Channel, Model, OwnKey, Price, Rates, Route, Snapshot, Tier
from fastanchor.lib.networks import Network
from fastanchor.lib.valkey import TurnPipeline
from gateway.books import BookLoaders, Books
from gateway.call import Request
from gateway.formats.chat import Chat
from gateway.health import Health
from gateway.memory import Memory
from gateway.pipeline import serve
from gateway.reply import Reply
from gateway.runtime import Deadlines, Gateway
from gateway.upstreams.http import HttpClient

ORGANIZATION = "org_test"
SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
SSE_END = b"0\r\n\r\n"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def chunked(data: bytes) -> bytes:
    """Return one HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(text: str = "", **choice: Any) -> bytes:
    """Return the HTTP chunk of one event with text, and further fields of its choice."""
    chunk = {"id": "up_1", "model": "m", "choices": [{"index": 0, "delta": {"content": text}, **choice}]}
    return chunked(b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n")


DONE = event(finish_reason="stop") + chunked(b"data: [DONE]\n\n")


def whole(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def completion(text: str = "hello", **fields: Any) -> bytes:
    """Return the JSON of a whole chat completion."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "up_1", "model": "m", "choices": [choice], "usage": usage} | fields).encode()


class Upstream:
    """A raw TCP server; every request runs the script."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.script: Script = self.says(whole(completion()))

    def says(self, *parts: bytes, pause_s: float = 0.0, close: bool = False) -> Script:
        """Return a script that writes these parts."""

        async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause_s)
            if close:
                writer.close()

        return script

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.bodies.append(json.loads(await reader.readexactly(length)))
                await self.script(reader, writer)
        writer.close()


class Shelf:
    """Plays the table of stored responses."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        # What every call waits for.
        self.answers = asyncio.Event()
        self.answers.set()

    def archive(self) -> Archive:
        """Return the door to it."""
        loaders = Loaders(self._save, self._find, self._delete, self._cancel, self._finish, self._renew)
        return Archive(loaders, max_bytes=100_000, wait_s=0.2)

    async def _save(self, kept: Kept, _until: float) -> None:
        await self.answers.wait()
        self.kept[kept.id] = kept

    async def _find(self, organization_id: str, response_id: str) -> Kept | None:
        await self.answers.wait()
        kept = self.kept.get(response_id)
        return kept if kept and kept.organization_id == organization_id else None

    async def _delete(self, organization_id: str, response_id: str) -> bool:
        return await self._find(organization_id, response_id) is not None and bool(self.kept.pop(response_id))

    async def _cancel(self, organization_id: str, response_id: str) -> Kept | None:
        kept = await self._find(organization_id, response_id)
        if kept is not None and kept.status == "in_progress":
            kept = self.kept[response_id] = kept.turned("cancelled")
        return kept

    async def _finish(self, kept: Kept, _until: float) -> bool:
        await self.answers.wait()
        is_open = kept.id in self.kept and self.kept[kept.id].status == "in_progress"
        if is_open:
            self.kept[kept.id] = kept
        return is_open

    async def _renew(self, response_ids: list[str]) -> set[str]:
        await self.answers.wait()
        return {
            name for name in response_ids if name in self.kept and self.kept[name].status == "in_progress"
        }


def _providers_of(routes: tuple[Route, ...]) -> list[str]:
    return [route.channel.provider for route in routes]


class House:
    """A gateway, its upstream, and one customer with credit."""

    def __init__(self, folder: Path, valkey: redis.Redis, upstream: Upstream, **deadlines: float) -> None:
        self.valkey = valkey
        self.upstream = upstream
        # Upstreams behind further channels, asked after the first.
        self.others: list[Upstream] = []
        # What the catalog holds beside the model "m".
        self.further: list[Model] = []
        self.allowed_models: frozenset[str] = frozenset()
        # Servers that end with the house.
        self.listening: list[asyncio.Server] = []
        self.balance_nano = 1_000_000_000
        # Of the caller, as admission knows them, and what is spent of them.
        self.budgets: tuple[str | int, ...] = ()
        self.spent: holds.Spending | None = None
        self.capabilities: frozenset[str] = frozenset()
        self.provider = "other"
        self.adapter = "openai"
        self.networks: tuple[Network, ...] = ()
        self.is_frozen = False
        # How much the caller's plan counts, and what is special of a channel, by its id.
        self.priority = 0
        self.special: dict[str, dict[str, Any]] = {}
        # Callers' own keys of providers, by organization and provider.
        self.own: dict[str, dict[str, OwnKey]] = {}
        # Who asks with another token than the house's, by its digest.
        self.organizations: dict[bytes, str] = {}
        # Further credentials of every channel.
        self.spare_keys: tuple[str, ...] = ()
        # What the opening of the wallet waits for.
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.token = tokens.new_token()
        self.shelf = Shelf()
        self.pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=10)
        self.gateway = Gateway(
            catalog=Catalog(self._catalog),
            keyring=Keyring(self._caller, [b"p" * 16]),
            archive=self.shelf.archive(),
            books=Books(BookLoaders(AsyncMock(), AsyncMock(), AsyncMock())),
            holds=holds.Holds(self.pipeline, self._open),
            spool=Spool.create(folder),
            client=HttpClient(connect_s=10, allow_private=True),
            health=Health(),
            deadlines=Deadlines(**deadlines),
            max_body_bytes=1_000_000,
            memory=Memory(self.pipeline, ring=settings.ARCHIVE_KEYS),
        )

    def token_of(self, organization_id: str) -> str:
        """Return a token of another organization."""
        token = tokens.new_token()
        self.organizations[tokens.digest(token, b"p" * 16)] = organization_id
        return token

    async def _caller(self, digests: list[bytes]) -> Caller:
        return Caller(
            key_id="key_1",
            organization_id=self.organizations.get(b"".join(digests[:1]), ORGANIZATION),
            plan="payg",
            requests_per_minute=100_000,
            tokens_per_minute=1_000_000_000,
            concurrency=1_000,
            networks=self.networks,
            revoked=self.is_frozen,
            frozen=self.is_frozen,
            budgets=self.budgets,
            priority=self.priority,
            allowed_models=self.allowed_models,
        )

    async def _catalog(self) -> Snapshot:
        routes = tuple(
            self._route(self._channel(number, each))
            for number, each in enumerate([self.upstream, *self.others], 1)
        )
        rates = Rates(input=1_000, cached_input=1_000, cache_write=1_000, output=1_000)
        model = Model(
            id="m", provider="other", name="M", context_window=100_000, max_output=8_192,
            capabilities=self.capabilities, input_modalities=("text",), output_modalities=("text",), created=0,
            prices=(Price("price_1", 0, (Tier(0, rates),)),), routes=routes,
        )  # fmt: skip
        models = {each.id: each for each in (model, *self.further)}
        providers = frozenset(
            slug for each in models.values() for slug in (each.provider, *_providers_of(each.routes))
        )
        return Snapshot(
            version=1, models=models, listed=tuple(models.values()), providers=providers, own=dict(self.own)
        )

    def _route(self, channel: Channel) -> Route:
        spares = [
            replace(channel, api_key=key, credential=f"cred_{channel.id}_{number}.1")
            for number, key in enumerate(self.spare_keys, 2)
        ]
        return Route(channel, "m", tuple(Route(each, "m") for each in spares))

    def _channel(self, number: int, upstream: Upstream) -> Channel:
        usual = Channel(
            id=f"chan_{number}", name="one", provider=self.provider, adapter=self.adapter, api_key="sk-secret", weight=1,
            priority=number, base_url=f"http://127.0.0.1:{upstream.port}/v1", allow_private=True,
            credential=f"cred_chan_{number}_1.1",
        )  # fmt: skip
        return replace(usual, **self.special.get(usual.id, {}))

    async def _open(self, organization_id: str) -> str:
        await self.may_open.wait()
        return await asyncio.to_thread(self._publish, organization_id)

    def _publish(self, organization_id: str) -> str:
        epoch = holds.ensure_epoch(self.valkey)
        wallet = holds.PublishedWallet(organization_id, 1, self.balance_nano)
        mark = holds.begin_opening(self.valkey, organization_id)
        holds.open_wallet(self.valkey, epoch=epoch, wallet=wallet, spending=self.spent, mark=mark)
        return epoch.name

    def ask(self, **fields: Any) -> Reply:
        """Start a call and return its reply."""
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        return serve(self.gateway, Request(headers, json.dumps(body).encode(), Chat()))

    async def answer(self, **fields: Any) -> tuple[int, bytes]:
        """Ask, read everything and return status and body once the call is settled."""
        reply = self.ask(**fields)
        await reply.begun()
        body = b""
        while (piece := await reply.piece()) is not None:
            body += piece
        await self.settled()
        return reply.status, body

    async def settled(self) -> None:
        """Wait until no call runs and Valkey has heard of it."""
        await self.gateway.drain(10)
        await asyncio.sleep(0.05)

    def records(self, kind: type[Record]) -> list[Any]:
        """Return the spool's records of one kind."""
        entries = SpoolReader(self.gateway.spool.folder).read(1_000_000)
        return [entry.record for entry in entries if isinstance(entry.record, kind)]

    @property
    def holds(self) -> dict[str, int]:
        """Return what Valkey holds."""
        return holds.known_holds(self.valkey, ORGANIZATION)

    async def close(self) -> None:
        """End everything."""
        for each in self.listening:
            each.close()
        await self.gateway.abandon()
        await self.gateway.client.close()
        await self.pipeline.close()
        self.gateway.spool.close()
