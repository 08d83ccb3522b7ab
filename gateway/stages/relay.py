"""5. Relay: pass a stream on as it comes, count what it costs, and stop where the money ends.

Runs in the task that outlives the caller: when the caller leaves, the upstream is read on for a while, because its
report of the usage is the only exact one.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass

import msgspec

from billing.holds import HoldsUnavailable
from billing.spool import Checkpoint, SpoolFull
from catalog.pricing import Usage
from gateway.call import Call, Outcome
from gateway.errors import GatewayError, ServiceUnavailable, UpstreamError
from gateway.passages.base import Answer, RememberingStream, StreamTranslator
from gateway.reply import Reply
from gateway.runtime import Gateway
from gateway.stages.dispatch import Stream, remember
from gateway.stages.reserve import ASSUMED_MAX_OUTPUT, STREAM_STEP, estimated_cost, estimated_usage
from gateway.upstreams.base import BadAnswer
from gateway.upstreams.faults import UpstreamBroken, UpstreamTimeout, UpstreamTooLarge

logger = logging.getLogger(__name__)

CHECKPOINT_S = 1.0
# An upstream that ignores an explicit maximum is stopped; our estimate may be twice the real number.
EXPLICIT_SLACK = 2
EXPLICIT_FLOOR = 64
# A report of so many times what a model can read, or of what was ordered, is a mistake that no caller pays for.
BELIEVED_TIMES = 10
# No status reached the caller; the number is nginx's custom for it.
CLIENT_CLOSED_REQUEST = 499


class _OutOfCredit(Exception):
    """No more output can be held."""


@dataclass(slots=True)
class _Progress:
    """How far a stream has come, in estimated output tokens."""

    passed_on: int = 0
    checked_at: float = 0.0


async def relay(gateway: Gateway, call: Call, stream: Stream, reply: Reply) -> tuple[Outcome, bytes]:
    """Pass a stream on and return how it ended and the last bytes for the caller; never raises upstream errors."""
    translator = stream.translator
    progress = _Progress(passed_on=translator.output_tokens, checked_at=time.monotonic())
    reply.send(stream.opening)
    error: GatewayError | None = None
    is_whole = False
    try:
        if translator.is_done:
            # A whole answer that is told as a stream: it is here, and as much is held for it as there is.
            with contextlib.suppress(_OutOfCredit):
                await _extend(gateway, call, translator, reply)
        await _pass_on(gateway, call, stream, reply, progress)
        is_whole = True
    except _OutOfCredit:
        if not reply.is_left:
            usage = estimated_usage(call, progress.passed_on)
            outcome = Outcome("cut", 200, usage, is_estimated=True, finish_reason="length")
            return outcome, translator.cut(usage)
    except (UpstreamBroken, UpstreamTimeout, UpstreamTooLarge, BadAnswer) as exc:
        logger.warning("gateway.relay.broken", extra={"request": call.request.id, "reason": str(exc)})
        if call.channel is not None and not reply.is_left:
            gateway.health.paces.failed(call.channel.id)
        error = UpstreamError(
            "The model's provider broke off in the middle of the answer.", should_retry=False
        )
    except HoldsUnavailable:
        error = ServiceUnavailable(
            "Credit for the rest of the answer cannot be reserved right now. You were not charged."
        )
    finally:
        _let_go(gateway, call, stream)
    if error is not None and not reply.is_left:
        return _died(call, translator, progress, error), translator.failure(error)
    outcome = _finished(call, translator, progress, reply)
    # What has no end gets none, or it would be kept as if it were complete.
    return outcome, translator.closing(outcome.usage) if is_whole else b""


def _let_go(gateway: Gateway, call: Call, stream: Stream) -> None:
    translator = stream.translator
    if translator.is_done:
        stream.exchange.finish()
    else:
        stream.exchange.close()
    if isinstance(translator, RememberingStream) and translator.keeper is not None:
        remember(gateway, call, translator.keeper.keepsake())


async def _pass_on(gateway: Gateway, call: Call, stream: Stream, reply: Reply, progress: _Progress) -> None:
    translator, exchange, splitter = stream.translator, stream.exchange, stream.splitter
    events = stream.pending
    idle_s = gateway.deadlines.between_contents(reasons=call.reasons)
    while True:
        await _pass_events(gateway, call, translator, events, reply, progress)
        if translator.is_done:
            break
        if reply.is_full:
            # A slow reader is not the upstream's fault: its silence is not counted meanwhile.
            exchange.deadline = call.ends_at
            await reply.room()
            exchange.deadline = min(time.monotonic() + idle_s, call.ends_at)
        now = time.monotonic()
        if now - progress.checked_at >= CHECKPOINT_S:
            _checkpoint(gateway, call, progress, now)
        piece = await exchange.piece()
        if piece is None:
            events = splitter.finish()
            await _pass_events(gateway, call, translator, events, reply, progress)
            break
        events = splitter.feed(piece)
        if events:
            # Only content moves the deadline: a stream of comments must not live forever.
            exchange.deadline = min(time.monotonic() + idle_s, call.ends_at)
            exchange.phase = "content"
    # A gateway on the way may close a stream that its own upstream cut off with the usual mark.
    if not translator.finish_reason:
        raise UpstreamBroken("ended without a finish reason", has_answered=True)


async def _pass_events(
    gateway: Gateway,
    call: Call,
    translator: StreamTranslator,
    events: list[bytes],
    reply: Reply,
    progress: _Progress,
) -> None:
    out: list[bytes] = []
    try:
        for event in events:
            translated = translator.feed(event)
            if translator.output_tokens > _limit(call):
                await _extend(gateway, call, translator, reply)
            out.append(translated)
            if not reply.is_left:
                progress.passed_on = translator.output_tokens
    finally:
        # Also before an error: what came before it was paid for and belongs to the caller.
        if out:
            reply.send(b"".join(out))


def _limit(call: Call) -> int:
    assert call.hold is not None
    if call.hold.ask.mode == "explicit":
        return EXPLICIT_SLACK * call.hold.output_tokens + EXPLICIT_FLOOR
    return call.hold.output_tokens


async def _extend(gateway: Gateway, call: Call, translator: StreamTranslator, reply: Reply) -> None:
    assert call.hold is not None
    while translator.output_tokens > _limit(call):
        if reply.is_left or call.hold.ask.mode == "explicit":
            raise _OutOfCredit
        if not await gateway.holds.extend(call.hold, STREAM_STEP):
            raise _OutOfCredit


def _checkpoint(gateway: Gateway, call: Call, progress: _Progress, now: float) -> None:
    assert call.hold is not None
    progress.checked_at = now
    checkpoint = Checkpoint(
        request_id=call.request.id,
        hold_nano=call.hold.amount_nano,
        cost_nano=min(call.hold.amount_nano, estimated_cost(call, progress.passed_on)),
        output_tokens=progress.passed_on,
    )
    # On a full disk the room that is left belongs to the usage of what runs.
    with contextlib.suppress(SpoolFull):
        gateway.spool.make_room()
        gateway.spool.append(checkpoint)


def _died(call: Call, translator: StreamTranslator, progress: _Progress, error: GatewayError) -> Outcome:
    is_our_fault = not isinstance(error, UpstreamError)
    usage = _believed(call, translator.usage)
    return Outcome(
        "free" if is_our_fault else "upstream_died",
        200,
        usage or estimated_usage(call, progress.passed_on),
        is_estimated=usage is None,
        is_free=is_our_fault,
        finish_reason="error",
        error_code=error.code,
        upstream_id=translator.upstream_id,
    )


def _finished(call: Call, translator: StreamTranslator, progress: _Progress, reply: Reply) -> Outcome:
    usage = _believed(call, translator.usage)
    is_estimated = usage is None
    if usage is None:
        usage = estimated_usage(call, progress.passed_on)
    is_free = not translator.has_output and not usage.output_tokens
    name = "client_left" if reply.is_left else "free" if is_free else "completed"
    return Outcome(
        name,
        200,
        usage,
        is_estimated=is_estimated,
        is_free=is_free,
        finish_reason=translator.finish_reason,
        upstream_id=translator.upstream_id,
    )


def _believed(call: Call, usage: Usage | None) -> Usage | None:
    """Return what an upstream reports, unless it is beyond what the model could; nothing that was not ordered."""
    if usage is None:
        return None
    window = call.model.context_window or ASSUMED_MAX_OUTPUT
    if not usage.searches and not usage.seconds and usage.input_tokens + usage.output_tokens <= window:
        return usage
    ordered = call.asked.most_units
    # Many texts that are embedded at once may be more than the model reads of one.
    most = BELIEVED_TIMES * max(window * call.asked.choices, call.estimate.most)
    if (
        max(usage.input_tokens, usage.output_tokens) > most
        or usage.seconds > BELIEVED_TIMES * ordered.seconds
    ):
        logger.error("gateway.relay.unbelievable_usage", extra={"request": call.request.id})
        return None
    if usage.searches > BELIEVED_TIMES * ordered.searches:
        return msgspec.structs.replace(usage, searches=BELIEVED_TIMES * ordered.searches)
    return usage


def left_unfinished(call: Call) -> Outcome:
    """Return the outcome of a whole answer that did not come within the time for which we drain."""
    return Outcome("client_left", CLIENT_CLOSED_REQUEST, estimated_usage(call, 0), is_estimated=True)


def answered(call: Call, answer: Answer, reply: Reply) -> Outcome:
    """Return the outcome of a whole answer."""
    usage = reported = _believed(call, answer.usage)
    if usage is None:
        usage = estimated_usage(call, answer.text_tokens)
    is_free = not answer.has_output and not usage.output_tokens
    return Outcome(
        "client_left" if reply.is_left else "free" if is_free else "completed",
        200,
        usage,
        is_estimated=reported is None,
        is_free=is_free,
        finish_reason=answer.finish_reason,
        upstream_id=answer.upstream_id,
    )
