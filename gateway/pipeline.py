"""The way of a request, in order.

1. admit     who calls, and is the body what the path takes?        stages/admit.py
2. route     which model, which price, which channels?              stages/route.py
3. reserve   limits, budgets and the hold, in one Lua call          stages/reserve.py
4. dispatch  try channels until one really answers                  stages/dispatch.py
5. relay     pass the answer on, count, stop where the money ends   stages/relay.py
6. settle    write the cost to the spool, give back the rest        stages/settle.py

Before the route a request to /v1/responses gets the turns that it goes on from, and after the settlement its answer is
kept (``stored.py``); one in the background is answered before the dispatch (``background.py``).

All of it runs in a task that outlives the caller. Nothing here knows ASGI or Django: ``app.py`` and ``views.py`` are
thin adapters that hand over a ``Request`` and send the ``Reply``.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable

from gateway import background, contents, told_cost
from gateway.call import Call, Outcome, Request
from gateway.errors import GatewayError, InternalError, InvalidRequest
from gateway.passages.base import Answer
from gateway.reply import DEGRADED, Headers, Reply
from gateway.runtime import Gateway
from gateway.stages.admit import admit
from gateway.stages.dispatch import CallerLeft, dispatch
from gateway.stages.relay import answered, left_unfinished, relay
from gateway.stages.reserve import limit_headers, reserve
from gateway.stages.route import route
from gateway.stages.settle import ended_by, left_unserved, settle
from gateway.stored import NOT_STORED, is_too_large, keep, recall, want_seals

logger = logging.getLogger(__name__)


def serve(gateway: Gateway, request: Request) -> Reply:
    """Start to serve a request and return the reply that is being written."""
    reply = Reply(request.format, request.id)
    gateway.detach(_serve(gateway, request, reply), name=request.id)
    return reply


async def _serve(gateway: Gateway, request: Request, reply: Reply) -> None:
    headers: Headers = request.format.headers(request.id)
    try:
        caller, asked = await admit(gateway, request)
        keeping = await recall(gateway, caller, asked)
        call = route(gateway, request, caller, asked)
        if keeping is not None:
            call.keeping = keeping
            want_seals(call)
        await reserve(gateway, call)
        if caller.keeps_contents:
            contents.copy(gateway, caller, reply)
        headers += _opening_headers(gateway, call)
        if keeping is not None and keeping.is_background:
            await _fulfil_in_background(gateway, call, reply, headers)
        else:
            await _fulfil(gateway, call, reply, headers)
    except GatewayError as error:
        if gateway.holds.is_degraded and DEGRADED not in headers:
            headers.append(DEGRADED)
        reply.fail(error, headers)
    except RecursionError:
        # Schemas are read again by whoever writes them, with less of the stack left than at first.
        reply.fail(_TOO_DEEP, headers)
    except Exception:
        logger.exception("gateway.serve.failed", extra={"request": request.id})
        reply.fail(_OUR_FAULT, headers)
    await contents.keep(gateway, request, reply)


def _opening_headers(gateway: Gateway, call: Call) -> Headers:
    assert call.hold is not None
    headers = limit_headers(call.hold.limits) + _bound_of(call)
    if gateway.holds.is_degraded:
        headers.append(DEGRADED)
    if call.keeping is not None and is_too_large(gateway, call.keeping):
        headers.append(NOT_STORED)
    return headers


def _bound_of(call: Call) -> Headers:
    return [] if call.output_bound is None else [(_BOUND, str(call.output_bound))]


async def _fulfil_in_background(gateway: Gateway, call: Call, reply: Reply, headers: Headers) -> None:
    """Answer at once, then fulfil the call with nobody waiting for it."""
    try:
        unread = await background.begin(gateway, call, reply, headers)
    except Exception as error:
        settle(gateway, call, ended_by(_TOO_DEEP if isinstance(error, RecursionError) else error))
        raise
    try:
        await _fulfil(gateway, call, unread, [])
        if unread.status and not unread.is_left:
            await background.end(gateway, call, unread.take())
    except GatewayError as error:
        await background.fail(gateway, call, error)
    except Exception:
        logger.exception("gateway.background.failed", extra={"request": call.request.id})
        await background.fail(gateway, call, _OUR_FAULT)
    finally:
        background.leave(gateway, call)


async def _fulfil(gateway: Gateway, call: Call, reply: Reply, headers: Headers) -> None:
    """Dispatch, relay and settle: the hold ends exactly once.

    Only a cancelled call is not settled here: its process is ending, and the shipper finds its intent in the spool.
    """
    call.ends_at = time.monotonic() + gateway.deadlines.stream_s
    reply.on_leave(lambda: call.hurry(gateway.deadlines.drain_s))
    last = b""
    try:
        outcome, last = await _deliver(gateway, call, reply, headers)
        gateway.speeds.note(call, outcome)
    except CallerLeft as left:
        outcome = left_unfinished(call) if left.was_asked else left_unserved()
    except Exception as error:
        settle(gateway, call, ended_by(_TOO_DEEP if isinstance(error, RecursionError) else error))
        raise
    finally:
        gateway.streams.discard(reply)
    last = _with_cost(reply, last, settle(gateway, call, outcome), headers)
    # A caller who left before the answer began never heard its id.
    if call.keeping is not None and (reply.status or not reply.is_left):
        last = await keep(gateway, call, call.keeping, last, headers)
    if not reply.status:
        reply.begin(200, headers)
    reply.send(last)
    reply.end()


async def _deliver(gateway: Gateway, call: Call, reply: Reply, headers: Headers) -> tuple[Outcome, bytes]:
    """Return the outcome and what is still to be sent once it is settled: the whole answer, or a stream's end."""
    served = await dispatch(gateway, call, reply)
    if call.has_turned or call.is_own:
        headers[:] = [each for each in headers if each[0] != _BOUND] + _bound_of(call)
    if call.dropped:
        headers.append(("x-fa-dropped", _listed(map(call.request.format.param, call.dropped))))
    if isinstance(served, Answer):
        headers.append(("content-type", served.content_type))
        outcome = answered(call, served, reply)
        return outcome, served.telling(outcome.usage)
    reply.begin(200, [*headers, *_STREAM_HEADERS], is_stream=True)
    gateway.streams.add(reply)
    return await relay(gateway, call, served, reply)


def _with_cost(reply: Reply, last: bytes, cost_nano: int, headers: Headers) -> bytes:
    """Return what is still to be sent with the cost in it; a whole answer names it in a header, too."""
    if reply.is_stream:
        return told_cost.in_ending(last, cost_nano)
    told = told_cost.in_answer(last, cost_nano) if headers[-1:] == _JSON else last
    headers.append((told_cost.HEADER, str(cost_nano)))
    return told


def _listed(names: Iterable[str]) -> str:
    """Return names as a header's value; some hold a word of the caller's, which may be anything."""
    return ", ".join(_UNFIT.sub("?", name) for name in names)[:_MAX_LISTED]


_UNFIT = re.compile(r"[^\w.\[\]-]", re.ASCII)
_MAX_LISTED = 1_000
_TOO_DEEP = InvalidRequest("The body is nested too deeply.", should_retry=False)
_OUR_FAULT = InternalError("Something went wrong on our side. You were not charged. Try again.")
_BOUND = "x-fa-max-tokens"
_JSON: Headers = [("content-type", "application/json")]
_STREAM_HEADERS: Headers = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    # nginx would otherwise hold chunks back.
    ("x-accel-buffering", "no"),
]
