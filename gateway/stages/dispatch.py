"""4. Dispatch: try channels until one really answers.

A stream counts as answered with its first content, not with its status: until then nothing has been sent to the
caller, so a channel that starts and fails can still be replaced. At most three attempts, and as many at each further
model that the caller named.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import cycle, islice

import msgspec

from catalog.snapshot import Route
from gateway import choice, own_keys
from gateway.asked import Attempt
from gateway.call import Call
from gateway.errors import GatewayError, InvalidRequest, ServiceUnavailable, UpstreamError
from gateway.failures import AttemptFailed, CredentialRefused, Inexpressible, refuse
from gateway.keepsakes import Keepsake, Need, Remembering
from gateway.passages.base import Answer, Passage, StreamTranslator
from gateway.passages.table import passage_for
from gateway.passages.whole_stream import MAX_ANSWER_BYTES, TellsWhole, WholeSplitter
from gateway.reply import Reply
from gateway.runtime import Gateway
from gateway.stages.reserve import fit, unbind, write_intent
from gateway.upstreams.base import BadAnswer, CannotExpress, Prepared, Refused, Splitter
from gateway.upstreams.faults import UpstreamBroken, UpstreamTimeout, UpstreamTooLarge, UpstreamUnreachable
from gateway.upstreams.http import Exchange
from gateway.upstreams.origin import Origin

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
# A stream that sends this many events without content is passed on all the same.
MAX_HELD_BACK_EVENTS = 64


class CallerLeft(Exception):
    """Nobody waits for the answer any more; ``was_asked`` tells whether an upstream is at work on it."""

    def __init__(self, *, was_asked: bool) -> None:
        super().__init__()
        self.was_asked = was_asked


@dataclass(slots=True)
class Stream:
    """A stream whose first content is here: what was translated so far, and events not looked at yet."""

    exchange: Exchange
    splitter: Splitter
    translator: StreamTranslator
    opening: bytes = b""
    pending: list[bytes] = field(default_factory=list)


async def dispatch(gateway: Gateway, call: Call, reply: Reply) -> Answer | Stream:
    """Return the first real answer; raises ``GatewayError`` where there is none, and ``CallerLeft``."""
    gateway.health.count_request()
    told: list[GatewayError] = []
    while True:
        if reply.is_left:
            raise CallerLeft(was_asked=False)
        try:
            return await _ask_model(gateway, call, reply)
        except GatewayError as error:
            told.append(error)
        if not call.fallbacks:
            raise _worst(told)
        call.turn()
        fit(call)
        logger.info("gateway.dispatch.turned", extra={"request": call.request.id, "model": call.model.id})


def _worst(told: list[GatewayError]) -> GatewayError:
    """Return what is told of several models: what may pass by itself, or else what is wrong with the request."""
    return next((error for error in told if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR), told[0])


async def _ask_model(gateway: Gateway, call: Call, reply: Reply) -> Answer | Stream:
    """Try the channels of one model; its first attempt is no retry, whatever failed at other models."""
    failures: list[AttemptFailed] = []
    for route, chosen in _attempts(gateway, call):
        if failures and own_keys.is_retry(call, route) and not gateway.health.may_retry():
            _give_up(gateway, call, route)
            break
        started = time.monotonic()
        try:
            served = await _noted_attempt(gateway, call, chosen)
        except AttemptFailed as failure:
            failures.append(failure)
            call.has_failed_at_ours |= not route.channel.is_own
            _judge(gateway, call, route, chosen, failure, reply)
        except BaseException:
            _give_up(gateway, call, route)
            raise
        else:
            took_s = time.monotonic() - started
            gateway.health.succeeded(route.channel.id, seconds=took_s, is_stream=call.is_stream)
            if route.channel.is_own:
                unbind(call)
            if isinstance(served, Answer):
                remember(gateway, call, served.keepsake)
            return served
    raise own_keys.refusal(gateway, call, failures) or _verdict(call, failures)


def _give_up(gateway: Gateway, call: Call, route: Route) -> None:
    """End an attempt without a verdict on its channel."""
    choice.leave(gateway, call)
    gateway.health.gave_up(route.channel.id)


def _judge(
    gateway: Gateway, call: Call, route: Route, chosen: Route, failure: AttemptFailed, reply: Reply
) -> None:
    choice.leave(gateway, call)
    if reply.is_left:
        # Most likely our own end of draining, which says nothing about the channel.
        gateway.health.gave_up(route.channel.id)
        raise CallerLeft(was_asked=failure.may_be_billed) from failure
    is_refused = isinstance(failure, CredentialRefused)
    if is_refused:
        gateway.credentials.refused(chosen.channel, reason=f"The provider refused it: {failure.reason}.")
    if failure.blames_channel:
        gateway.health.failed(route.channel.id, pause_s=failure.pause_s)
    else:
        gateway.health.gave_up(route.channel.id)
    choice.consider(gateway, call)
    logger.warning(
        "gateway.dispatch.attempt_failed", extra={"channel": route.channel.id, "reason": failure.reason}
    )
    if not failure.can_repeat and not (is_refused and gateway.credentials.works(route)):
        call.candidates = tuple(each for each in call.candidates if each is not route)


def _attempts(gateway: Gateway, call: Call) -> Iterator[tuple[Route, Route]]:
    """Yield what to try: a candidate, and the same with the credential to use."""
    # Each channel once before any is asked again; a channel that failed for good is no longer a candidate.
    for route in islice(cycle(call.candidates), MAX_ATTEMPTS * max(1, len(call.candidates))):
        if call.attempts - call.attempts_elsewhere >= MAX_ATTEMPTS:
            return
        if route in call.candidates and (chosen := choice.admitted(gateway, call, route)) is not None:
            yield route, chosen
    if call.attempts == call.attempts_elsewhere and (last := choice.last_resort(gateway, call)) is not None:
        yield last


def _verdict(call: Call, failures: list[AttemptFailed]) -> GatewayError:
    if failures and isinstance(failures[-1], Inexpressible):
        return failures[-1].complaint
    if any(failure.has_answered for failure in failures):
        return UpstreamError(
            "The model's provider did not give a usable answer. You were not charged. Try again.",
            should_retry=False,
        )
    if not failures and (wait_s := choice.wait_s(call)):
        return ServiceUnavailable(
            f"This model is in great demand right now. You were not charged. Try again in {wait_s} s.",
            retry_after_s=wait_s,
        )
    return ServiceUnavailable(
        "All channels to this model are down right now. You were not charged. Try again in half a minute.",
        retry_after_s=30,
        should_retry=False,
    )


async def _noted_attempt(gateway: Gateway, call: Call, route: Route) -> Answer | Stream:
    """Make an attempt and write down what came of it, unless it is the first, serves, and is the model's provider's."""
    started, before = time.monotonic(), call.attempts
    call.asked_at = started
    try:
        served = await _attempt(gateway, call, route)
    except (AttemptFailed, GatewayError) as failure:
        if call.attempts > before:
            own = "own_key_" if route.channel.is_own else ""
            call.note_attempt(route, started=started, error_code=own + _code(call, failure))
        raise
    # Of one that serves at once the usage record tells all but whose channel it was.
    if call.attempts_made or call.has_turned or route.channel.provider != call.model.provider:
        call.note_attempt(route, started=started, error_code="")
    return served


def _code(call: Call, failure: AttemptFailed | GatewayError) -> str:
    """Return a word of ours for what came of an attempt; the failure's own reason may quote the upstream."""
    if isinstance(failure, GatewayError):
        return failure.code
    if failure.__cause__ is not None:
        return _CODES.get(type(failure.__cause__), "bad_answer")
    status = call.exchange.status if call.exchange is not None else 0
    if status == 429:
        return "rate_limit"
    return "refused" if status < 500 else "upstream_error"


_CODES: dict[type[BaseException], str] = {
    UpstreamUnreachable: "unreachable",
    UpstreamTimeout: "timeout",
    UpstreamBroken: "broken_off",
}


async def _attempt(gateway: Gateway, call: Call, route: Route) -> Answer | Stream:
    passage = _passage(call, route)
    attempt = call.attempt(route)
    if isinstance(passage, Remembering) and (need := passage.need(attempt)):
        attempt = await _remembered(gateway, call, attempt, need)
    prepared = _prepare(call, passage, attempt)
    call.attempts += 1
    call.channel, call.dropped, call.exchange = route.channel, prepared.dropped, None
    call.is_own = route.channel.is_own
    write_intent(gateway, call)
    try:
        exchange = await _send(gateway, call, prepared, route, passage)
        if call.is_stream:
            return await _first_content(gateway, call, exchange, passage, attempt)
        return passage.answer(await exchange.body(MAX_ANSWER_BYTES), attempt)
    except UpstreamUnreachable as exc:
        raise AttemptFailed("unreachable", can_repeat=True, has_answered=False) from exc
    except UpstreamTimeout as exc:
        was_sent = exc.phase != "connect"
        raise AttemptFailed(
            f"timeout of {exc.phase}", can_repeat=False, has_answered=was_sent, may_be_billed=was_sent
        ) from exc
    except UpstreamBroken as exc:
        raise AttemptFailed(
            exc.reason, can_repeat=True, has_answered=exc.has_answered, may_be_billed=True
        ) from exc
    except Refused as exc:
        message, param = passage.complaint(exc.body, route.channel)
        raise InvalidRequest(message, param=param) from exc
    except (UpstreamTooLarge, BadAnswer) as exc:
        raise AttemptFailed(str(exc), can_repeat=True, has_answered=True, may_be_billed=True) from exc


def _passage(call: Call, route: Route) -> Passage:
    try:
        has_search = call.asked.prompt.has_search
        return passage_for(call.request.format, route, call.model, has_search=has_search)
    except CannotExpress as exc:
        raise _inexpressible(call, exc) from exc


def _prepare(call: Call, passage: Passage, attempt: Attempt) -> Prepared:
    try:
        return passage.prepare(attempt)
    except CannotExpress as exc:
        raise _inexpressible(call, exc) from exc


def _inexpressible(call: Call, exc: CannotExpress) -> Inexpressible:
    return Inexpressible(InvalidRequest(exc.reason, param=call.request.format.param(exc.field)))


async def _remembered(gateway: Gateway, call: Call, attempt: Attempt, need: Need) -> Attempt:
    """Return an attempt with the thoughts that its upstream wants back and the caller did not send."""
    if gateway.memory is None:
        return attempt
    form = attempt.form
    remembered = await gateway.memory.recall(call.caller.organization_id, form, need)
    return attempt if remembered is form else msgspec.structs.replace(attempt, remembered=remembered)


def remember(gateway: Gateway, call: Call, keepsake: Keepsake) -> None:
    """Keep what was thought before tools were called, for the turn with their results."""
    if keepsake and gateway.memory is not None:
        gateway.memory.keep(call.caller.organization_id, call.asked.form(), keepsake)


async def _send(gateway: Gateway, call: Call, prepared: Prepared, route: Route, passage: Passage) -> Exchange:
    deadlines = gateway.deadlines
    answer_s = deadlines.until_content(reasons=call.reasons) if call.is_stream else deadlines.whole_s
    exchange = await gateway.client.connect(_origin(route.channel.base_url), answer_s=answer_s)
    # A caller who left while the connection was made has brought the end near.
    exchange.deadline = min(exchange.deadline, call.ends_at)
    call.exchange = exchange
    await exchange.ask(prepared.target, headers=prepared.headers, body=prepared.body)
    if not 200 <= exchange.status < 300:
        await refuse(exchange, route, passage)
    return exchange


_ORIGINS: dict[str, Origin] = {}


def _origin(base_url: str) -> Origin:
    origin = _ORIGINS.get(base_url)
    if origin is None:
        origin = _ORIGINS[base_url] = Origin.of(base_url)
    return origin


async def _first_content(
    gateway: Gateway, call: Call, exchange: Exchange, passage: Passage, attempt: Attempt
) -> Stream:
    stream = Stream(exchange, passage.splitter(), passage.stream(attempt))
    try:
        first = await _first_piece(exchange)
        # No stream begins like that, of events or of frames.
        if first.startswith(b"{") and isinstance(passage, TellsWhole):
            stream.splitter, stream.translator = WholeSplitter(), passage.whole_stream(attempt)
        stream.pending = stream.splitter.feed(first)
        stream.opening = await _hold_back(stream)
    except BaseException:
        exchange.close()
        raise
    call.first_token_at = now = time.monotonic()
    exchange.deadline = min(now + gateway.deadlines.between_contents(reasons=call.reasons), call.ends_at)
    exchange.phase = "content"
    return stream


async def _first_piece(exchange: Exchange) -> bytes:
    """Return the first bytes that are more than blanks."""
    while (piece := await exchange.piece()) is not None:
        if piece := piece.lstrip(b" \t\r\n"):
            return piece
    raise UpstreamBroken("ended before any content", has_answered=True)


async def _hold_back(stream: Stream) -> bytes:
    translator = stream.translator
    opening: list[bytes] = []
    while not (translator.has_output or translator.is_done or translator.finish_reason):
        if len(opening) > MAX_HELD_BACK_EVENTS:
            break
        if stream.pending:
            opening.append(translator.feed(stream.pending.pop(0)))
            continue
        piece = await stream.exchange.piece()
        stream.pending = stream.splitter.finish() if piece is None else stream.splitter.feed(piece)
        if piece is None and not stream.pending:
            raise UpstreamBroken("ended before any content", has_answered=True)
    if translator.is_done and not (translator.has_output or translator.finish_reason):
        raise UpstreamBroken("done without any content", has_answered=True)
    return b"".join(opening)
