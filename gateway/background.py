"""Responses that are worked on in the background: answered at once, asked for until they have ended.

The row in the archive is the truth, for any process may be asked about it. The process at work holds a lease on it and
renews it; once a lease is over, the response has failed. Cancelling changes the row first; the process at work is told,
or learns it at its next renewal, and then ends the call as if its caller had left.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from accounts.archive import LEASE_S, ArchiveFull, ArchiveUnavailable, Kept
from gateway.call import Call
from gateway.errors import GatewayError, InvalidRequest
from gateway.events import Began
from gateway.formats.base import TextFormat
from gateway.formats.responses_output import response_id
from gateway.formats.responses_writer import failure
from gateway.reply import Headers, Reply
from gateway.runtime import Gateway
from gateway.stored import archive_away, entry, is_too_large

logger = logging.getLogger(__name__)

RENEW_EVERY_S = LEASE_S / 4
# Between the tries to write the end of a response whose work was done and is paid for: five minutes in all.
FINISH_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, *[15.0] * 19)


async def begin(gateway: Gateway, call: Call, reply: Reply, headers: Headers) -> Reply:
    """Answer the caller with a response in progress; return the reply into which the work goes and that nobody reads.

    Raises ``InvalidRequest`` and ``ServiceUnavailable`` where it cannot be kept: nobody could ask for it.
    """
    assert call.keeping is not None
    if is_too_large(gateway, call.keeping):
        raise InvalidRequest(
            "The input is larger than what can be stored, so it cannot be worked on in the background.",
            param="input",
        )
    response = _in_progress(call)
    try:
        await gateway.archive.keep(entry(call, call.keeping, response))
    except ArchiveFull as exc:
        raise InvalidRequest(
            "Your organization stores as many responses as it may, so none can be worked on in the background. "
            "Delete some, or wait until they expire.",
            param="background",
        ) from exc
    except ArchiveUnavailable as exc:
        raise archive_away() from exc
    unread = Reply(call.request.format, call.request.id)
    gateway.background[response_id(call.request.id)] = unread
    reply.whole(200, [*headers, ("content-type", "application/json")], response)
    return unread


def _in_progress(call: Call) -> bytes:
    """Return the response as it is before anything was said: the one with which a stream of it would begin."""
    format_, routes = call.request.format, call.candidates or call.model.routes
    assert isinstance(format_, TextFormat)
    opening = format_.writer(call.attempt(routes[0])).write([Began()])
    first = opening[opening.index(b"data: ") + 6 : opening.index(b"\n\n")]
    return _dated(call, msgspec.json.decode(first)["response"])


async def end(gateway: Gateway, call: Call, body: bytes) -> None:
    """Write the answer of a call that was worked on in the background, unless it was cancelled meanwhile."""
    assert call.keeping is not None
    await _finish(gateway, entry(call, call.keeping, _dated(call, msgspec.json.decode(body))))


async def fail(gateway: Gateway, call: Call, error: GatewayError) -> None:
    """Write that there is no answer, and why."""
    assert call.keeping is not None
    kept = entry(call, call.keeping, _in_progress(call))
    await _finish(gateway, kept.turned("failed", failure(error)))


def leave(gateway: Gateway, call: Call) -> None:
    """Forget a call that is no longer worked on."""
    del gateway.background[response_id(call.request.id)]


def _dated(call: Call, response: dict[str, Any]) -> bytes:
    # Its caller has been told already when it was made.
    return msgspec.json.encode(response | {"created_at": call.request.started_at_ms // 1_000})


async def _finish(gateway: Gateway, kept: Kept) -> None:
    for pause_s in FINISH_PAUSES_S:
        await asyncio.sleep(pause_s)
        if gateway.background[kept.id].is_left:
            return
        try:
            await gateway.archive.finish(kept)
        except ArchiveUnavailable:
            continue
        return
    logger.error("gateway.background.end_not_kept", extra={"response": kept.id})


async def look_after(gateway: Gateway) -> None:
    """Renew the leases of what this process works on; run until cancelled."""
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        await renew(gateway)


async def renew(gateway: Gateway) -> None:
    """Renew the leases once, and end the work on what was cancelled or deleted."""
    at_work = dict(gateway.background)
    if not at_work:
        return
    try:
        wanted = await gateway.archive.renew(at_work)
    except ArchiveUnavailable:
        return
    for name, unread in at_work.items():
        if name not in wanted:
            unread.leave()


async def hear(gateway: Gateway, message: str | None) -> None:
    """End the work on the response that an announcement names; look at all where one may have been missed."""
    if message is None:
        await renew(gateway)
    elif unread := gateway.background.get(message):
        unread.leave()
