"""Asks a channel one cheap question of our own, to learn whether it works: for staff, and for channels that are out.

The question goes the way of a caller's chat completion, through the same passage, client and credential. What it costs
is the platform's, or the customer's whose own key it is; nothing is written down of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from catalog.snapshot import Model, OwnKey, Route, Snapshot
from fastanchor.lib.ids import new_id
from gateway.asked import Attempt
from gateway.errors import GatewayError
from gateway.failures import AttemptFailed, CredentialRefused, refuse
from gateway.formats.chat import Chat
from gateway.passages.table import passage_for
from gateway.runtime import Gateway
from gateway.upstreams.base import BadAnswer, CannotExpress
from gateway.upstreams.faults import UpstreamBroken, UpstreamTimeout, UpstreamTooLarge, UpstreamUnreachable
from gateway.upstreams.http import HttpClient
from gateway.upstreams.origin import Origin

logger = logging.getLogger(__name__)

QUESTION = "Reply with OK."
# Some models refuse fewer tokens than this.
MOST_TOKENS = 16
PROBE_S = 30.0
MAX_ANSWER_BYTES = 256 * 1024
# Probes of one process at a time, and by how much each waits longer than it must, so that not all processes come at once.
MAX_PROBES = 2
MOST_JITTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a question: words of ours, and how long it took."""

    is_well: bool
    words: str
    seconds: float
    blames_credential: bool = False


def cheapest(snapshot: Snapshot, channel_id: str) -> tuple[Model, Route] | None:
    """Return the cheapest model for conversation that a channel serves, and its route; ``None`` where there is none."""
    own = {
        provider: key
        for keys in snapshot.own.values()
        for provider, key in keys.items()
        if key.channel is not None and key.channel.id == channel_id
    }
    found = [
        (model.prices[0].tiers[0].rates.output, model.id, model, route)
        for model in {each.id: each for each in snapshot.models.values()}.values()
        for route in _routes(model, own)
        if model.kind == "chat" and route.channel.id == channel_id
    ]
    if not found:
        return None
    *_, model, route = min(found, key=lambda each: each[:2])
    return model, route


def _routes(model: Model, own: Mapping[str, OwnKey]) -> tuple[Route, ...]:
    """Return a model's routes; for a customer's own key those are all models of its provider."""
    key = own.get(model.provider)
    return model.routes if key is None else key.routes(model)


async def probe(client: HttpClient, model: Model, route: Route) -> Probed:
    """Ask a channel through a route; an answer of any kind is told in words."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(PROBE_S):
            await _ask(client, model, route)
    except _EXPECTED as exc:
        took_s = time.monotonic() - began
        return Probed(
            is_well=False,
            words=_words(exc),
            seconds=took_s,
            blames_credential=isinstance(exc, CredentialRefused),
        )
    return Probed(is_well=True, words="It works.", seconds=time.monotonic() - began)


_WORDS: dict[type[Exception], str] = {
    TimeoutError: "No answer in time.",
    UpstreamTimeout: "No answer in time.",
    UpstreamUnreachable: "It cannot be reached.",
    UpstreamBroken: "The answer broke off.",
    UpstreamTooLarge: "The answer makes no sense.",
    BadAnswer: "The answer makes no sense.",
    CannotExpress: "Its protocol cannot say the question.",
}


_EXPECTED: tuple[type[Exception], ...] = (*_WORDS, AttemptFailed, GatewayError)


def _words(exc: Exception) -> str:
    if isinstance(exc, CredentialRefused):
        return f"The provider refused it: {exc.reason}."
    if isinstance(exc, AttemptFailed):
        return f"It failed: {exc.reason}."
    # What the provider says stays out: it may name our account.
    return _WORDS.get(type(exc), "The provider found the question wrong.")


async def _ask(client: HttpClient, model: Model, route: Route) -> None:
    chat = Chat()
    attempt = Attempt(
        asked=chat.parse(_body(model), {}),
        model=model,
        route=route,
        request_id=new_id("req"),
        headers={},
        price=model.prices[0],
    )
    passage = passage_for(chat, route, model, has_search=False)
    prepared = passage.prepare(attempt)
    exchange = await client.connect(Origin.of(route.channel.base_url), answer_s=PROBE_S)
    try:
        await exchange.ask(prepared.target, headers=prepared.headers, body=prepared.body)
        if not 200 <= exchange.status < 300:
            await refuse(exchange, route, passage)
        passage.answer(await exchange.body(MAX_ANSWER_BYTES), attempt)
    finally:
        exchange.close()


def _body(model: Model) -> bytes:
    question = {"role": "user", "content": QUESTION}
    return msgspec.json.encode(
        {"model": model.id, "messages": [question], "max_completion_tokens": MOST_TOKENS}
    )


class Prober:
    """Asks the channels that this process has taken out, once their pause is over, so that no caller has to find out."""

    def __init__(self, gateway: Gateway, *, chance: random.Random | None = None) -> None:
        self._gateway = gateway
        self._chance = chance or random.Random()  # noqa: S311 - spreads load
        self._due_at: dict[str, float] = {}
        self._running: set[asyncio.Task[None]] = set()

    def look(self, now: float) -> None:
        """Start the probes that are due; called every second."""
        out = self._gateway.health.overdue()
        self._due_at = {
            each: self._due_at.get(each) or now + self._chance.uniform(0, MOST_JITTER_S) for each in out
        }
        for channel_id, due_at in self._due_at.items():
            if due_at <= now and len(self._running) < MAX_PROBES:
                self._start(channel_id)

    def _start(self, channel_id: str) -> None:
        found = cheapest(self._gateway.catalog.current, channel_id)
        chosen = found and self._gateway.credentials.chosen(found[1])
        if not found or not chosen or not self._gateway.health.may_try(channel_id):
            return
        task = asyncio.get_running_loop().create_task(
            self._probe(found[0], chosen), name=f"probe {channel_id}"
        )
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _probe(self, model: Model, route: Route) -> None:
        health, channel = self._gateway.health, route.channel
        try:
            probed = await probe(self._gateway.client, model, route)
        except BaseException:
            health.gave_up(channel.id)
            raise
        logger.info(
            "gateway.channel.probed",
            extra={"channel": channel.id, "is_well": probed.is_well, "words": probed.words},
        )
        if probed.is_well:
            health.succeeded(channel.id)
            return
        if probed.blames_credential:
            self._gateway.credentials.refused(channel, reason=probed.words)
        health.failed(channel.id)
