"""Telling every process that something changed: a counter in Valkey plus a published message.

The message makes it quick, the counter makes it sure: a watcher that missed a message sees the counter differ
within ``POLL_S`` and is told to drop everything of that topic.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import redis
import redis.asyncio
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

POLL_S = 0.5
# A server that has not answered by then may be gone without a word.
ANSWER_S = 2.0

# Called with the message, or with None when messages may have been lost.
Listener = Callable[[str | None], Awaitable[None]]


def channel(client: redis.Redis | redis.asyncio.Redis) -> str:
    """Return the channel on which changes are announced: one for each numbered database, for they share all channels."""
    return f"fa:changes@{client.get_connection_kwargs().get('db') or 0}"


def _counter(topic: str) -> str:
    return f"fa:changes:{topic}"


def announce(client: redis.Redis, topic: str, message: str) -> None:
    """Tell every watcher of ``topic``; call it after the change is committed."""
    number = client.incr(_counter(topic))
    client.publish(channel(client), f"{topic} {number} {message}")


class Watch:
    """Calls listeners for each announced change; run by one task per process."""

    def __init__(self, client: redis.asyncio.Redis, listeners: dict[str, Listener]) -> None:
        self._client = client
        self._listeners = listeners
        self._seen: dict[str, int | None] = dict.fromkeys(listeners)

    async def run(self) -> None:
        """Listen and poll until cancelled; survives the loss of Valkey."""
        await asyncio.gather(self._poll_forever(), self._listen_forever())

    async def _listen_forever(self) -> None:
        while True:
            # A message that cannot be read is a lost one: the counter tells of it.
            with contextlib.suppress(RedisError, OSError, TimeoutError, ValueError):
                await self._listen()
            await asyncio.sleep(POLL_S)

    async def _listen(self) -> None:
        async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(channel(self._client))
            while True:
                message = await pubsub.get_message(timeout=None)
                if message is not None:
                    await self._hear(message["data"].decode())

    async def _hear(self, text: str) -> None:
        topic, number, message = text.split(" ", 2)
        if topic not in self._listeners:
            return
        seen = self._seen[topic]
        is_next = seen is not None and int(number) == seen + 1
        self._seen[topic] = int(number)
        await self._tell(topic, message if is_next else None)

    async def _poll_forever(self) -> None:
        while True:
            try:
                await self._poll()
            except (RedisError, OSError, TimeoutError):
                logger.warning("changes.poll_failed")
            await asyncio.sleep(POLL_S)

    async def _poll(self) -> None:
        topics = list(self._listeners)
        async with asyncio.timeout(ANSWER_S):
            numbers = await self._client.mget([_counter(topic) for topic in topics])
        for topic, raw in zip(topics, numbers, strict=True):
            number = int(raw or 0)
            if number != self._seen[topic]:
                self._seen[topic] = number
                await self._tell(topic, None)

    async def _tell(self, topic: str, message: str | None) -> None:
        try:
            await self._listeners[topic](message)
        except Exception:
            # A listener that fails (PostgreSQL away) must hear of the change again at the next poll.
            self._seen[topic] = None
            logger.exception("changes.listener_failed", extra={"topic": topic})
