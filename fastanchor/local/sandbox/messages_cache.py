"""Anthropic's prompt cache, which the caller controls by marks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from fastanchor.local.sandbox.conversation import BYTES_PER_TOKEN, CACHE_FROM_TOKENS, PrefixCache
from fastanchor.local.sandbox.messages_request import MessagesRequest, blocks_of


@dataclass(frozen=True, slots=True)
class _Mark:
    """A prefix that ends here: its digest, what it costs, and for how long it is kept."""

    digest: bytes
    tokens: int
    is_long: bool


def cached_tokens(request: MessagesRequest, cache: PrefixCache, *, most: int) -> tuple[int, tuple[int, int]]:
    """Return the tokens read from the cache, and those written for five minutes and for an hour.

    Prefixes of less than 1,024 tokens are not cached; no more than ``most`` tokens are counted.
    """
    read, written = 0, [0, 0]
    for mark in _marks(request):
        tokens = min(mark.tokens, most)
        if tokens < CACHE_FROM_TOKENS:
            continue
        if cache.remembers(mark.digest):
            read, written = tokens, [0, 0]
        else:
            written[mark.is_long] += tokens - read - sum(written)
    return read, (written[0], written[1])


def _marks(request: MessagesRequest) -> Iterator[_Mark]:
    running, size = hashlib.sha256(request.model.encode()), 0
    blocks = list(_blocks(request))
    for number, block in enumerate(blocks):
        mark = block.get("cache_control")
        if request.cache_control and number + 1 == len(blocks):
            mark = request.cache_control
        plain = msgspec.json.encode({key: value for key, value in block.items() if key != "cache_control"})
        running.update(plain)
        size += len(plain)
        if mark:
            yield _Mark(running.digest(), size // BYTES_PER_TOKEN, mark.get("ttl") == "1h")


def _blocks(request: MessagesRequest) -> Iterator[dict[str, Any]]:
    yield from request.tools or []
    yield from blocks_of(request.system) if request.system else []
    for message in request.messages:
        yield from blocks_of(message["content"])
