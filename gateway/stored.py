"""What the archive does for a call to /v1/responses: earlier turns go before it, and its own answer is kept.

A response is kept unless its caller says ``store: false``. It is written before its last bytes are handed over, so that
a request that names it can follow at once. What cannot be kept in time still reaches the caller, with ``store: false``.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from accounts.archive import ArchiveFull, ArchiveUnavailable, Body, Kept, Status
from accounts.keyring import Caller
from gateway.asked import Asked
from gateway.call import Call, Keeping
from gateway.errors import InvalidRequest, NotFound, PreviousResponseNotFound, ServiceUnavailable
from gateway.formats.responses import ResponsesAsked
from gateway.formats.responses_body import SEALS
from gateway.formats.responses_ids import response_of
from gateway.formats.responses_items import split_items
from gateway.formats.responses_output import response_id
from gateway.reply import DEGRADED, Headers
from gateway.runtime import Gateway

logger = logging.getLogger(__name__)

_ID = re.compile(r"resp_[A-Za-z0-9_-]{1,59}")
_FINAL_STATUSES: tuple[Status, ...] = ("completed", "incomplete")
_STATUSES: tuple[Status, ...] = (*_FINAL_STATUSES, "in_progress")
_FINAL_EVENTS = (b"event: response.completed\n", b"event: response.incomplete\n")
_DATA, _BLANK = b"\ndata: ", b"\n\n"
_TOO_LARGE, _FULL, _UNAVAILABLE = "too_large", "full", "unavailable"
# Sent before a stream whose input alone is too large; of others only the last event can say it.
NOT_STORED = ("x-fa-not-stored", _TOO_LARGE)
# So many responses are looked into for the items of one request.
_REFERRED_RESPONSES = 8
_AWAY = "Stored responses cannot be read right now. Try again soon."


async def recall(gateway: Gateway, caller: Caller, asked: Asked) -> Keeping | None:
    """Put what was said before in front of a request; return how its answer is kept, ``None`` if it is not.

    Raises ``InvalidRequest``, ``PreviousResponseNotFound`` and ``ServiceUnavailable``.
    """
    if not isinstance(asked, ResponsesAsked):
        return None
    if asked.references:
        asked.insert(await _referred(gateway, caller, asked.references))
    wishes = asked.body
    is_kept = wishes.store is not False
    if wishes.background:
        _check_background(asked, is_kept=is_kept)
    items = split_items(wishes.input)
    if wishes.previous_response_id:
        earlier = await earlier_items(gateway, caller, wishes.previous_response_id)
        asked.prepend(earlier)
        items = earlier + items
    if not is_kept:
        return None
    return Keeping(items, is_background=bool(wishes.background))


def want_seals(call: Call) -> None:
    """Ask for the thoughts' seals, too: whoever goes on from this response sends its id and no thoughts."""
    assert isinstance(call.asked, ResponsesAsked)
    body = call.asked.body
    if any("reasoning" in model.capabilities for model in call.models) and not body.includes(SEALS):
        body.include = [*(body.include or ()), SEALS]


def _check_background(asked: Asked, *, is_kept: bool) -> None:
    if not is_kept:
        raise InvalidRequest("A background response must be stored. Leave 'store' out.", param="store")
    if asked.is_stream:
        raise InvalidRequest(
            "A background response cannot be streamed here. Leave 'stream' out and ask for the response until it has ended.",
            param="stream",
        )


async def earlier_items(gateway: Gateway, caller: Caller, name: str) -> list[Raw]:
    """Return the items of a response and of all before it, its output last; instructions are not among them."""
    kept = await _find(gateway, caller, name)
    if kept is None:
        raise PreviousResponseNotFound(
            f"Previous response with id '{name[:64]}' not found.", param="previous_response_id"
        )
    if kept.status not in _FINAL_STATUSES:
        raise InvalidRequest(
            f"The response '{kept.id}' is {kept.status.replace('_', ' ')}. Only a finished one can be continued.",
            param="previous_response_id",
        )
    body = kept.read()
    return [*body.input, *msgspec.json.decode(body.response, type=_Output).output]


async def _referred(gateway: Gateway, caller: Caller, names: list[str]) -> dict[str, Raw]:
    """Return those of the named items that are stored, by their ids.

    The latest response holds what was said before it, so a whole conversation is mostly found in one.
    """
    items: dict[str, Raw] = {}
    asked: set[str] = set()
    for name in reversed(names):
        response = response_of(name)
        if name in items or response is None or response in asked or len(asked) == _REFERRED_RESPONSES:
            continue
        asked.add(response)
        kept = await _find(gateway, caller, response)
        if kept is not None and kept.status in _FINAL_STATUSES:
            body = kept.read()
            output = msgspec.json.decode(body.response, type=_Output).output
            items = _by_id([*body.input, *output]) | items
    return items


async def found(gateway: Gateway, caller: Caller, name: str) -> Kept:
    """Return a response of the caller's organization; raises ``NotFound`` and ``ServiceUnavailable``."""
    kept = await _find(gateway, caller, name)
    if kept is None:
        raise not_found(name)
    return kept


async def delete(gateway: Gateway, caller: Caller, name: str) -> bool:
    """Delete a response of the caller's organization and tell whether there was one."""
    if not is_id(name):
        return False
    try:
        return await gateway.archive.delete(caller.organization_id, name)
    except ArchiveUnavailable as exc:
        raise archive_away() from exc


async def cancel(gateway: Gateway, caller: Caller, name: str) -> Kept:
    """End the work on a background response and return it; raises 400, 404 and 503 errors."""
    try:
        kept = await gateway.archive.cancel(caller.organization_id, name) if is_id(name) else None
    except ArchiveUnavailable as exc:
        raise archive_away() from exc
    if kept is None:
        raise not_found(name)
    if not kept.is_background:
        raise InvalidRequest(
            "Only a response that was asked for with 'background': true can be cancelled.",
            param="response_id",
        )
    return kept


def not_found(name: str) -> NotFound:
    """Return the refusal for a response that its caller cannot have."""
    return NotFound(f"Response with id '{name[:64]}' not found.", param="response_id")


def is_id(name: str) -> bool:
    """Tell whether this could be the id of a stored response."""
    return _ID.fullmatch(name) is not None


def archive_away() -> ServiceUnavailable:
    """Return the refusal while stored responses cannot be reached."""
    return ServiceUnavailable(_AWAY, retry_after_s=1)


async def _find(gateway: Gateway, caller: Caller, name: str) -> Kept | None:
    if not is_id(name):
        return None
    try:
        return await gateway.archive.find(caller.organization_id, name)
    except ArchiveUnavailable as exc:
        raise archive_away() from exc


class _Output(msgspec.Struct):
    output: list[Raw]


class _Named(msgspec.Struct):
    id: str | None = None


_NAMED = msgspec.json.Decoder(_Named)


def _by_id(items: list[Raw]) -> dict[str, Raw]:
    named = [(_NAMED.decode(item).id, item) for item in items]
    return {name: item for name, item in named if name}


class _Head(msgspec.Struct):
    status: Any = None


async def keep(gateway: Gateway, call: Call, keeping: Keeping, last: bytes, headers: Headers) -> bytes:
    """Keep the answer whose end is ``last``, and return what its caller gets; adds to ``headers`` what went wrong.

    ``last`` is a whole body, or the bytes that end a stream, its final event among them.
    """
    if keeping.is_background or not last:
        return last
    ending = _Ending.of(last) if call.is_stream else _Ending(b"", b"", last)
    if ending is None:
        return last
    reason = await _kept_or_why_not(gateway, call, keeping, ending.response)
    if not reason:
        return last
    headers += [] if reason == _TOO_LARGE and NOT_STORED in headers else [("x-fa-not-stored", reason)]
    if reason == _UNAVAILABLE and DEGRADED not in headers:
        headers.append(DEGRADED)
    return ending.not_stored()


async def _kept_or_why_not(gateway: Gateway, call: Call, keeping: Keeping, response: bytes) -> str:
    if is_too_large(gateway, keeping, response):
        return _TOO_LARGE
    try:
        await gateway.archive.keep(entry(call, keeping, response))
    except ArchiveFull:
        return _FULL
    except ArchiveUnavailable:
        logger.warning("gateway.stored.not_kept", extra={"request": call.request.id})
        return _UNAVAILABLE
    return ""


def is_too_large(gateway: Gateway, keeping: Keeping, response: bytes = b"") -> bool:
    """Tell whether a response cannot be kept with all that came before it."""
    return len(response) + sum(len(bytes(item)) for item in keeping.input) > gateway.archive.max_bytes


def entry(call: Call, keeping: Keeping, response: bytes) -> Kept:
    """Return what the archive is given of a response."""
    told = msgspec.json.decode(response, type=_Head).status
    return Kept(
        id=response_id(call.request.id),
        organization_id=call.caller.organization_id,
        key_id=call.caller.key_id,
        model_id=call.model.id,
        status=told if told in _STATUSES else "failed",
        created_at=call.request.started_at_ms // 1_000,
        body=Body(Raw(response), keeping.input).encode(),
        is_background=keeping.is_background,
    )


class _Event(msgspec.Struct):
    response: Raw


@dataclass(frozen=True, slots=True)
class _Ending:
    """The end of an answer: what stands before the final event, the event as it was written, the response in it."""

    before: bytes
    event: bytes
    response: bytes

    @classmethod
    def of(cls, last: bytes) -> _Ending | None:
        """Find the final event among the bytes that end a stream; ``None`` where the stream has failed."""
        # JSON holds no line end, so none of these can stand inside an event.
        before, blank, event = last.removesuffix(_BLANK).rpartition(_BLANK)
        if not event.startswith(_FINAL_EVENTS):
            return None
        data = event.partition(_DATA)[2]
        return cls(before + blank, event, bytes(msgspec.json.decode(data, type=_Event).response))

    def not_stored(self) -> bytes:
        """Return the same end, but saying that the response is not stored."""
        response = msgspec.json.decode(self.response) | {"store": False}
        if not self.event:
            return msgspec.json.encode(response)
        name, _, data = self.event.partition(_DATA)
        event: dict[str, Any] = msgspec.json.decode(data) | {"response": response}
        return self.before + name + _DATA + msgspec.json.encode(event) + _BLANK
