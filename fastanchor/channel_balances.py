"""What is left of our money at providers, where they tell: asked beside a test, never on the way of a request.

Only DeepSeek documents an address for it that an ordinary API key opens.
"""

from __future__ import annotations

import asyncio

import msgspec

from catalog.models import Adapter
from catalog.snapshot import Channel
from gateway.upstreams.base import BadAnswer
from gateway.upstreams.faults import UpstreamBroken, UpstreamTimeout, UpstreamTooLarge, UpstreamUnreachable
from gateway.upstreams.http import HttpClient
from gateway.upstreams.origin import Origin

_ASK_S = 10.0
_MOST_BYTES = 16 * 1024
_MOST_CURRENCIES = 4
# Where an adapter's provider tells it, beside its versioned path.
_TARGETS = {Adapter.DEEPSEEK.value: "/user/balance"}
_EXPECTED = (
    TimeoutError, UpstreamBroken, UpstreamTimeout, UpstreamTooLarge, UpstreamUnreachable, BadAnswer, msgspec.DecodeError,
    msgspec.ValidationError,
)  # fmt: skip


class _Amount(msgspec.Struct):
    currency: str
    total_balance: str


class _Told(msgspec.Struct):
    is_available: bool
    balance_infos: list[_Amount]


async def balance(client: HttpClient, channel: Channel) -> str:
    """Return the balance as its provider writes it, such as ``110.00 CNY``; empty where it tells none."""
    target = _TARGETS.get(channel.adapter)
    if target is None:
        return ""
    try:
        async with asyncio.timeout(_ASK_S):
            return _words(await _ask(client, channel, target))
    except _EXPECTED:
        return ""


async def _ask(client: HttpClient, channel: Channel, target: str) -> bytes:
    exchange = await client.connect(
        Origin.of(channel.base_url.removesuffix("/v1").removesuffix("/beta")), answer_s=_ASK_S
    )
    try:
        await exchange.get(target, headers=[("authorization", f"Bearer {channel.api_key}")])
        if exchange.status != 200:
            raise BadAnswer
        return await exchange.body(_MOST_BYTES)
    finally:
        exchange.close()


def _words(raw: bytes) -> str:
    told = msgspec.json.decode(raw, type=_Told)
    amounts = [f"{each.total_balance[:20]} {each.currency[:8]}" for each in told.balance_infos]
    words = ", ".join(amounts[:_MOST_CURRENCIES])
    return words if told.is_available else f"{words} (not enough to serve)".strip()
