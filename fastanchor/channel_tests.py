"""The last test of each channel, kept for the table of channels: told in Valkey for a week, and nothing depends on it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from redis.exceptions import RedisError

from catalog import publish
from catalog.models import Channel, Credential
from fastanchor import channel_balances, channel_probes
from fastanchor.channel_probes import Tested
from fastanchor.lib.valkey import sync_client
from gateway.upstreams.http import HttpClient

logger = logging.getLogger(__name__)

KEY = "fa:channels:tests"
KEPT_S = 7 * 86_400
# All channels are not tested twice at once, and never more than these.
_PAUSE_KEY, PAUSE_S = "fa:channels:testing", 60
MOST = 200


@dataclass(frozen=True, slots=True)
class LastTest:
    """What came of the last test of a channel."""

    at: float
    is_well: bool
    words: str
    slowest_ms: int
    balance: str


def begin_all() -> list[str]:
    """Return the channels to test, or none while a test of all has just begun; raises ``RedisError``."""
    if not sync_client().set(_PAUSE_KEY, "1", nx=True, ex=PAUSE_S):
        return []
    ours = Channel.objects.filter(own_key="", is_enabled=True).order_by("priority", "pk")
    return list(ours.values_list("pk", flat=True)[:MOST])


def ask(channel: Channel) -> list[Tested]:
    """Test a channel with each of its credentials, ask for its balance, and keep what came of it.

    Raises ``channel_probes.NothingToAsk``, and keeps that, too.
    """
    try:
        tested = channel_probes.ask_channel(channel)
    except channel_probes.NothingToAsk:
        _keep(channel, is_well=False, words="Nothing to ask.", slowest_ms=0, balance="")
        raise
    failed = [f"{each.credential.name}: {each.probed.words}" for each in tested if not each.probed.is_well]
    slowest_s = max((each.probed.seconds for each in tested), default=0)
    _keep(
        channel,
        is_well=not failed,
        words="; ".join(failed) or "It works.",
        slowest_ms=round(slowest_s * 1_000),
        balance=_balance(channel),
    )
    return tested


def read() -> dict[str, LastTest]:
    """Return the last test of each channel by its id; raises ``RedisError``."""
    told: dict[bytes, bytes] = sync_client().hgetall(KEY)  # type: ignore[assignment]
    kept = {channel_id.decode(): json.loads(raw) for channel_id, raw in told.items()}
    return {channel_id: LastTest(**values) for channel_id, values in kept.items()}


def _keep(channel: Channel, *, words: str, **values: Any) -> None:
    told = json.dumps({"at": time.time(), "words": words[:300], **values})
    try:
        client = sync_client()
        client.hset(KEY, channel.pk, told)
        client.expire(KEY, KEPT_S)
    except RedisError:
        logger.info("channels.test_not_kept", extra={"channel": channel.pk})


def _balance(channel: Channel) -> str:
    credential = channel.credentials.filter(is_enabled=True).order_by("created_at", "pk").first()
    return asyncio.run(_ask(credential)) if credential is not None else ""


async def _ask(credential: Credential) -> str:
    client = HttpClient(connect_s=settings.UPSTREAM_CONNECT_S, allow_private=settings.ALLOW_PRIVATE_UPSTREAMS)
    try:
        return await channel_balances.balance(client, publish.channel_through(credential))
    finally:
        await client.close()
