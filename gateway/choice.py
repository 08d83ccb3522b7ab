"""Which channel a request tries first, and which next.

Dedicated channels of the caller's organization come first, then the lowest priority number. Among equals a draw
decides: a channel's chance is its weight times how well it did lately (``gateway.paces``). Requests of one session
prefer the same channel, because there its prompt is cached: their draw is made by a hash of the session, and a channel
that does badly comes after those that do well. What is out of service, or at a limit, is passed over; that never fails
a request that another channel can serve.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import NamedTuple

from accounts.keyring import Caller
from billing.attempts import Considered
from catalog.snapshot import Route
from gateway.asked import Asked, Session
from gateway.call import Call, Request
from gateway.limits import Lack
from gateway.runtime import Gateway

# A channel that scores less is no session's first choice.
WELL = 0.5
# What is written down of one request.
MAX_CONSIDERED = 8
# Headers by which agents name a session; the first one found counts.
SESSION_HEADERS = ("x-session-id", "session_id", "session-id", "x-session-affinity")
_MAX_SESSION = 512


class _Rank(NamedTuple):
    """Sorts channels; lowest first."""

    is_shared: bool
    priority: int
    is_unwell: bool
    draw: float


def in_order(
    gateway: Gateway, routes: tuple[Route, ...], *, caller: Caller, request: Request, asked: Asked
) -> tuple[Route, ...]:
    """Return the routes that a caller may use, in the order in which they are to be tried."""
    if len(routes) == 1 and not routes[0].channel.dedicated_to:
        return routes
    routes = tuple([each for each in routes if each.channel.dedicated_to in {"", caller.organization_id}])
    if len(routes) < 2:
        return routes
    session = session_of(request, asked)
    if session:
        session = f"{caller.organization_id} {session}"
    ranks = _ranks(gateway, routes, session, is_stream=asked.is_stream)
    return tuple(sorted(routes, key=lambda each: ranks[each.channel.id]))


def session_of(request: Request, asked: Asked) -> str:
    """Return what the requests of one session have in common, as far as the caller says; empty where nothing is said."""
    session = asked.session if isinstance(asked, Session) else ""
    if not session:
        session = next((found for name in SESSION_HEADERS if (found := request.headers.get(name))), "")
    return session[:_MAX_SESSION]


def _ranks(gateway: Gateway, routes: tuple[Route, ...], session: str, *, is_stream: bool) -> dict[str, _Rank]:
    paces = gateway.health.paces
    fastest = paces.fastest([each.channel.id for each in routes], is_stream=is_stream)
    ranks = {}
    for channel in [each.channel for each in routes]:
        score = paces.score(channel.id, fastest=fastest, is_stream=is_stream)
        # The smallest of exponential draws wins with a chance proportional to its weight.
        if session:
            draw = _hashed(session, channel.id) / max(channel.weight, 1e-9)
        else:
            draw = gateway.chance.expovariate(1.0) / max(channel.weight * score, 1e-9)
        is_unwell = bool(session) and (score < WELL or gateway.health.pause_left(channel.id) > 0)
        ranks[channel.id] = _Rank(not channel.dedicated_to, channel.priority, is_unwell, draw)
    return ranks


def _hashed(session: str, channel_id: str) -> float:
    """Return an exponential draw that is always the same for a session and a channel (rendezvous hashing)."""
    digest = blake2b(f"{channel_id} {session}".encode("utf-8", "replace"), digest_size=8).digest()
    return -math.log((int.from_bytes(digest, "big") + 1) / 2**64)


def admitted(gateway: Gateway, call: Call, route: Route) -> Route | None:
    """Take a place at a route's channel and return the route with the credential to use; ``None`` passes it over.

    What is taken must be given back with ``leave``, or by the settlement.
    """
    if not (route.is_special or gateway.credentials.are_out or gateway.health.is_out):
        return route
    chosen = gateway.credentials.chosen(route)
    lack = gateway.limits.lack(route.channel, priority=call.caller.priority)
    if lack is not None:
        call.lacks[route.channel.id] = lack
    if chosen is None or lack is not None or not gateway.health.may_try(route.channel.id):
        consider(gateway, call)
        return None
    call.seat = gateway.limits.take(route.channel, tokens=call.estimate.fair)
    return chosen


def last_resort(gateway: Gateway, call: Call) -> tuple[Route, Route] | None:
    """Return the one channel that may be asked although all are paused, with its credential; or ``None``."""
    for route in call.candidates:
        chosen = gateway.credentials.chosen(route)
        is_free = gateway.limits.lack(route.channel, priority=call.caller.priority) is None
        if chosen is not None and is_free and gateway.health.may_try_early(route.channel.id):
            call.seat = gateway.limits.take(route.channel, tokens=call.estimate.fair)
            return route, chosen
    return None


def leave(gateway: Gateway, call: Call) -> None:
    """Give back the place of an attempt that has failed."""
    gateway.limits.leave(call.seat)
    call.seat = None


def wait_s(call: Call) -> int:
    """Return in how many seconds a channel that was passed over for a limit of ours may be free; 0 if none was."""
    waits = [lack.wait_s for lack in call.lacks.values()]
    return min(60, math.ceil(max(1.0, min(waits)))) if waits else 0


def consider(gateway: Gateway, call: Call) -> None:
    """Write down, once, what there is to choose from and how it stands; not where there is no choice."""
    if call.considered or len(call.candidates) < 2:
        return
    routes = call.candidates
    paces = gateway.health.paces
    fastest = paces.fastest([each.channel.id for each in routes], is_stream=call.is_stream)
    scores = [paces.score(each.channel.id, fastest=fastest, is_stream=call.is_stream) for each in routes]
    call.considered = tuple(
        _considered(gateway, call, each, score)
        for each, score in zip(routes[:MAX_CONSIDERED], scores, strict=False)
    )


def _considered(gateway: Gateway, call: Call, route: Route, score: float) -> Considered:
    channel = route.channel
    pause_s = gateway.health.pause_left(channel.id)
    if not gateway.credentials.works(route):
        state = Lack("credential", 0.0)
    elif pause_s:
        state = Lack("paused", max(0.0, pause_s))
    else:
        state = gateway.limits.lack(channel, priority=call.caller.priority) or Lack("ready", 0.0)
    return Considered(
        provider_id=channel.provider,
        channel_id=channel.id,
        priority=channel.priority,
        score=round(score * 1_000),
        state=state.what,
        wait_s=math.ceil(state.wait_s),
        running=gateway.limits.running(channel.id),
    )
