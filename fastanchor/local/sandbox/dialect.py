"""What each protocol of the sandbox provides: reading a request, and a voice that writes its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from fastanchor.local.sandbox.answers import Answer, Delta
from fastanchor.local.sandbox.conversation import BadRequest, Conversation, Count
from fastanchor.local.sandbox.directives import Directive

DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Http:
    """One request as it arrived."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def credential(self) -> str:
        """Return the key in whichever place a protocol has it."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return (
            bearer
            or self.headers.get("x-api-key")
            or self.headers.get("x-goog-api-key")
            or self.query.get("key", "")
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream: an object (or plain text) and, where the protocol names its events, a name."""

    payload: dict[str, Any] | str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that is about to be sent."""

    answer: Answer
    count: Count
    order: Directive
    model: str


class Voice(Protocol):
    """Writes the answer to one request; keeps track of what its stream has begun."""

    @property
    def answer_id(self) -> str:
        """Return the id of the answer."""

    def whole(self) -> dict[str, Any]:
        """Return the body of an answer in one piece."""

    def opening(self) -> list[Event]:
        """Return the events before the first piece."""

    def say(self, delta: Delta) -> list[Event]:
        """Return the events of one piece."""

    def closing(self) -> list[Event]:
        """Return the events after the last piece, less what the order leaves out."""

    def failure(self) -> list[Event]:
        """Return an error in the stream."""

    def comment(self) -> str:
        """Return a sign of life, without the colon; empty where the protocol has an event for that."""


class Asked(Protocol):
    """A request that was read."""

    @property
    def talk(self) -> Conversation:
        """Return what the model sees."""

    def voice(self, said: Said) -> Voice:
        """Return what writes the answer."""


class Dialect(Protocol):
    """One protocol."""

    @property
    def name(self) -> str:
        """Return its name in the log."""

    def read(self, http: Http) -> Asked:
        """Read a request; raises ``BadRequest`` as the provider would."""

    def error(self, refusal: BadRequest) -> dict[str, Any]:
        """Return the body of a refusal; its message may be empty for the usual one of its status."""

    def error_headers(self, refusal: BadRequest) -> dict[str, str]:
        """Return what a refusal says beside its body."""

    def frames(self, order: Directive) -> Frames:
        """Return what writes the events of a stream."""

    def headers(self) -> dict[str, str]:
        """Return the headers beside the content type."""

    def blocked(self) -> BadRequest | None:
        """Return the refusal of a prompt that a filter stops; ``None`` where that is an answer."""

    def cached(self, asked: Asked) -> tuple[int, tuple[int, int]] | None:
        """Return tokens read from a cache the caller controls, and those written for 5 minutes and an hour."""


def refusal(status: int) -> BadRequest:
    """Return a refusal in the provider's usual words."""
    return BadRequest("", status=status)


def decode(body: bytes, message: str) -> dict[str, Any]:
    """Return a body that is an object; raises ``BadRequest``."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(message) from exc
    if not isinstance(value, dict):
        raise BadRequest(message)
    return value


class Frames:
    """Writes events as a server would, plainly or in the awkward ways that are allowed."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, order: Directive) -> None:
        self._write = _spaced if order.spaced else msgspec.json.encode
        self._line_end = b"\r\n" if order.crlf else b"\n"

    def event(self, event: Event) -> bytes:
        """Return one event."""
        name = b"event: " + event.name.encode() + self._line_end if event.name else b""
        payload = event.payload.encode() if isinstance(event.payload, str) else self._write(event.payload)
        return name + b"data: " + payload + self._line_end * 2

    def comment(self, text: str) -> bytes:
        """Return a comment."""
        return b": " + text.encode() + self._line_end * 2


class Usual:
    """What most protocols have in common."""

    def error_headers(self, _refusal: BadRequest) -> dict[str, str]:
        """Return nothing: an error says everything in its body."""
        return {}

    def frames(self, order: Directive) -> Frames:
        """Return what writes server-sent events."""
        return Frames(order)


def _spaced(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
