"""Keeps in Valkey, for an hour, the thoughts that clients drop between two turns; see ``gateway.keepsakes``.

Best effort: without Valkey, or when nothing is found, each adapter falls back on what its protocol allows. What is kept
is sealed for its organization and its place, and never logged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

import msgspec

from fastanchor.lib.crypto import CannotUnseal, seal_bytes, unseal_bytes
from fastanchor.lib.valkey import Script, TurnPipeline, ValkeyUnavailable
from gateway.form import Form, Thinking, ToolCall
from gateway.keepsakes import Keepsake, Need, lacking, name_of, restored

logger = logging.getLogger(__name__)

TTL_S = 3600
MAX_BYTES = 64 * 1024
# What one process keeps within the time to live, of one organization and in all: Valkey throws nothing away, and the
# holds are in it, too.
SHARE_BYTES = 16 * 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024
_KEEP = Script('return redis.call("SET", KEYS[1], ARGV[1], "EX", ARGV[2])')
# A conversation that goes on keeps its thoughts for another hour.
_RECALL = Script(
    "local found = {}\n"
    'for place, key in ipairs(KEYS) do found[place] = redis.call("GETEX", key, "EX", ARGV[1]) end\n'
    "return found"
)
_DECODER = msgspec.msgpack.Decoder(list[Thinking | ToolCall])


class Memory:
    """The thoughts of one process's customers, in the Valkey that all processes share."""

    def __init__(self, pipeline: TurnPipeline, *, ring: str, ttl_s: int = TTL_S) -> None:
        self._pipeline = pipeline
        self._ring = ring
        self._ttl_s = ttl_s
        self._kept: Counter[str] = Counter()
        self._counted_until = float("-inf")

    def keep(self, organization_id: str, form: Form, keepsake: Keepsake) -> None:
        """Send what an answer thought on its way to Valkey; nobody waits for it."""
        call = next((part for part in keepsake if isinstance(part, ToolCall)), None)
        if call is None:
            return
        key = _key(organization_id, name_of(form, call))
        sealed = seal_bytes(msgspec.msgpack.encode(keepsake), ring=self._ring, aad=key)
        if len(sealed) <= MAX_BYTES and self._has_room(organization_id, len(sealed)):
            self._pipeline.submit(_KEEP, [key], [sealed, self._ttl_s]).add_done_callback(_forget)

    def _has_room(self, organization_id: str, size: int) -> bool:
        now = time.monotonic()
        if now >= self._counted_until:
            self._kept.clear()
            self._counted_until = now + self._ttl_s
        if self._kept[organization_id] + size > SHARE_BYTES or self._kept[""] + size > MOST_BYTES:
            return False
        self._kept[organization_id] += size
        self._kept[""] += size
        return True

    async def recall(self, organization_id: str, form: Form, need: Need) -> Form:
        """Return a form with the thoughts that it lacks, as far as they are known; one round trip at most."""
        lost = lacking(form, need)
        if not lost:
            return form
        keys = [_key(organization_id, name) for name in lost]
        try:
            replies = await self._pipeline.call(_RECALL, keys, [self._ttl_s])
        except ValkeyUnavailable:
            logger.warning("gateway.memory.unavailable")
            return form
        found: dict[str, Keepsake] = {}
        for name, key, sealed in zip(lost, keys, replies, strict=False):
            if sealed and (keepsake := self._opened(sealed, key)):
                found[name] = keepsake
        return restored(form, lost, found) if found else form

    def _opened(self, sealed: bytes, key: str) -> Keepsake:
        try:
            return _DECODER.decode(unseal_bytes(sealed, ring=self._ring, aad=key))
        except (CannotUnseal, msgspec.DecodeError):
            # The ring has turned, or another version wrote it: as good as expired.
            return []


def _key(organization_id: str, name: str) -> str:
    return f"fa:{{{organization_id}}}:thoughts:{name}"


def _forget(future: asyncio.Future[object]) -> None:
    # The error is fetched so that nothing complains of it; the adapter's fallback will do.
    if not future.cancelled():
        future.exception()
