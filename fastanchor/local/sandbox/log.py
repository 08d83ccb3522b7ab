"""What was asked of the sandbox, for tests that compare it with what the product recorded."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

_MOST_ENTRIES = 200_000


class Entry(msgspec.Struct):
    """One request. ``outcome``: running, finished, refused, aborted (the client left), cut (we broke it off)."""

    model: str
    protocol: str = ""
    path: str = ""
    nonce: str = ""
    # The id in the answer, which a usage record keeps.
    answer_id: str = ""
    stream: bool = False
    status: int = 0
    outcome: str = "running"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    # True once a token left or would have left: from then on a provider charges.
    billed: bool = False
    # What was sent, kept only for requests with a nonce.
    body: bytes = b""
    headers: dict[str, str] = {}

    def count(self, tokens: int) -> None:
        """Add produced tokens."""
        self.completion_tokens += tokens
        self.billed = self.billed or tokens > 0


class RequestLog:
    """The latest requests, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_MOST_ENTRIES)

    def add(self, entry: Entry) -> None:
        """Remember a request."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget every request."""
        self._entries.clear()

    def report(self, nonce: str | None) -> list[dict[str, Any]]:
        """Return all requests, or with ``nonce`` those that carried it and what they sent."""
        if nonce is None:
            return [_facts(entry) for entry in self._entries]
        mine = [entry for entry in self._entries if entry.nonce == nonce]
        return [{**_facts(entry), "body": _sent(entry), "headers": entry.headers} for entry in mine]


def _facts(entry: Entry) -> dict[str, Any]:
    facts = msgspec.structs.asdict(entry)
    del facts["body"], facts["headers"]
    return facts


def _sent(entry: Entry) -> msgspec.Raw | str:
    if entry.headers.get("content-type", "").startswith("multipart/"):
        return entry.body.decode("latin-1")
    return msgspec.Raw(entry.body)
