"""Webhooks on their way: signed, sent in order, retried; or lost, doubled, shuffled and late where that is ordered."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import random
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from fastanchor.local.fakestripe.events import wants
from fastanchor.local.fakestripe.world import VERSION, Obj, World

_TIMEOUT_S = 10.0
_MOST_KEPT = 20_000


class Knobs(msgspec.Struct, forbid_unknown_fields=True):
    """How badly the post works.

    ``drop`` and ``double`` are shares between 0 and 1; ``delay_ms`` lets everything wait, ``shuffle_ms`` each for another
    while of up to so long; ``is_held`` keeps all back until it is false again. A delivery that fails is tried ``attempts``
    times, after ``retry_s`` and then each time twice as long. ``parallel`` many are on their way at once.
    """

    drop: float = 0.0
    double: float = 0.0
    shuffle_ms: int = 0
    delay_ms: int = 0
    seed: int = 0
    is_held: bool = False
    attempts: int = 4
    retry_s: float = 1.0
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class Address:
    """Where an endpoint listens and what it signs with."""

    endpoint: str
    url: str
    secret: str
    version: str = VERSION


@dataclass(slots=True)
class Delivery:
    """One event for one endpoint. ``outcome``: waiting, sent, failed, dropped."""

    event: str
    kind: str
    address: Address
    body: bytes
    due: float
    outcome: str = "waiting"
    attempts: int = 0
    statuses: list[int] = field(default_factory=list)

    def facts(self) -> Obj:
        """Return what tests may know."""
        return {
            "event": self.event,
            "type": self.kind,
            "endpoint": self.address.endpoint,
            "url": self.address.url,
            "outcome": self.outcome,
            "attempts": self.attempts,
            "statuses": self.statuses,
        }


def signature(secret: str, body: bytes, moment: int) -> str:
    """Return the header that the SDK verifies."""
    signed = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={signed}"


class Post:
    """The queue of deliveries."""

    def __init__(self, world: World, addresses: list[Address]) -> None:
        """Send to ``addresses`` and to the endpoints that were made over the API."""
        self._world = world
        self._addresses = addresses
        self.knobs = Knobs()
        self._random = random.Random(0)  # noqa: S311 - chosen by tests
        self._log: list[Delivery] = []
        self._queue: list[Delivery] = []
        self._news = asyncio.Event()
        self._arrived = asyncio.Event()

    def change(self, knobs: Knobs) -> None:
        """Work as told from now on."""
        self.knobs = knobs
        self._random.seed(knobs.seed)
        self._news.set()

    def reset(self) -> None:
        """Forget all deliveries and work well again."""
        self._log.clear()
        self._queue.clear()
        self.change(Knobs())

    def take(self) -> None:
        """Queue the events that were made since the last time."""
        events, self._world.outbox = self._world.outbox, []
        for event in events:
            for address in self._wanting(event["type"]):
                self._enqueue(event, address)
        if events:
            self._news.set()

    def _wanting(self, kind: str) -> list[Address]:
        made = [
            Address(each["id"], each["url"], self._world.hidden(each["id"])["secret"], each["api_version"])
            for each in self._world.newest_first("webhook_endpoint")
            if wants(each, kind)
        ]
        return [*self._addresses, *made]

    def _enqueue(self, event: Obj, address: Address) -> None:
        told = {**event, "api_version": address.version, "pending_webhooks": 1}
        body = msgspec.json.encode(told)
        due = time.monotonic() + self.knobs.delay_ms / 1000
        is_lost = self._random.random() < self.knobs.drop
        copies = 2 if self._random.random() < self.knobs.double else 1
        self._world.hidden(event["id"])["undelivered"] = 1
        event["pending_webhooks"] += 1
        for _ in range(1 if is_lost else copies):
            late = self._random.random() * self.knobs.shuffle_ms / 1000
            delivery = Delivery(event["id"], event["type"], address, body, due + late)
            self._log.append(delivery)
            if is_lost:
                delivery.outcome = "dropped"
            else:
                self._queue.append(delivery)
        del self._log[:-_MOST_KEPT]

    def facts(self) -> list[Obj]:
        """Return all deliveries, oldest first."""
        return [each.facts() for each in self._log]

    async def settle(self, within_s: float) -> bool:
        """Wait until nothing waits; says whether that came to be."""
        deadline = time.monotonic() + within_s
        while self._is_busy() and (left := deadline - time.monotonic()) > 0:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), left)
        return not self._is_busy()

    def _is_busy(self) -> bool:
        return any(each.outcome == "waiting" for each in self._log)

    async def run(self) -> None:
        """Send what is due, for ever."""
        async with (
            httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            under_way: set[asyncio.Task[None]] = set()
            while True:
                await self._wait()
                while (delivery := self._next()) is not None:
                    task = group.create_task(self._deliver(client, delivery))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                    if len(under_way) >= self.knobs.parallel:
                        await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _wait(self) -> None:
        now = time.monotonic()
        soonest = min((each.due for each in self._queue), default=now + 1.0)
        pause = 1.0 if self.knobs.is_held else max(0.0, soonest - now)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._news.wait()
        self._news.clear()

    def _next(self) -> Delivery | None:
        if self.knobs.is_held or not self._queue:
            return None
        first = min(self._queue, key=lambda each: each.due)
        if first.due > time.monotonic():
            return None
        self._queue.remove(first)
        return first

    async def _deliver(self, client: httpx2.AsyncClient, delivery: Delivery) -> None:
        delivery.attempts += 1
        status = await _send(client, delivery)
        delivery.statuses.append(status)
        self._arrived.set()
        if 200 <= status < 300:
            delivery.outcome = "sent"
            self._note_arrival(delivery.event)
        elif delivery.attempts < self.knobs.attempts:
            delivery.due = time.monotonic() + self.knobs.retry_s * 2 ** (delivery.attempts - 1)
            self._queue.append(delivery)
            self._news.set()
        else:
            delivery.outcome = "failed"

    def _note_arrival(self, event_id: str) -> None:
        event: Any = self._world.find(event_id)
        if event is not None:
            event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
            if event["pending_webhooks"] == 0:
                self._world.hidden(event_id)["undelivered"] = 0


async def _send(client: httpx2.AsyncClient, delivery: Delivery) -> int:
    headers = {
        "content-type": "application/json; charset=utf-8",
        "stripe-signature": signature(delivery.address.secret, delivery.body, int(time.time())),
        "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    try:
        response = await client.post(delivery.address.url, content=delivery.body, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return 0
    return response.status_code
