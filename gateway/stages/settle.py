"""6. Settle: write what the call cost into the spool and give back the rest of its hold.

Who pays when things break: a completed answer costs what its upstream reported; a caller who left pays for what was
drained or relayed; an upstream that died after content, for input and what was delivered, by estimate and within the
hold; nothing delivered, or our fault, costs nothing, nor does what no upstream served. What a customer's own key served
is paid to its provider, not to us.
"""

from __future__ import annotations

import time
from http import HTTPStatus

from billing.spool import Usage as UsageEntry
from catalog.pricing import Usage, cost_picos
from fastanchor.lib.money import PICOS_PER_NANO, Picos, round_picos
from gateway.call import Call, Outcome
from gateway.errors import GatewayError, InternalError
from gateway.runtime import Gateway
from gateway.stages.relay import CLIENT_CLOSED_REQUEST

_NOTHING = Usage(0, 0, 0, 0, 0)


def settle(gateway: Gateway, call: Call, outcome: Outcome) -> int:
    """End a call and return its cost in nano-USD.

    It leaves a record if an upstream was asked, or none could be, which is a failure of ours; a request that was found
    wrong before that leaves none.
    """
    assert call.hold is not None
    cost = tokens = 0
    try:
        if call.attempts or outcome.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            picos = _cost(call, outcome)
            cost = round_picos(picos)
            tokens = outcome.usage.input_tokens + outcome.usage.output_tokens
            gateway.spool.append(_entry(call, outcome, picos, cost))
    finally:
        # Also when nothing can be written: a hold that is never settled would be renewed for ever.
        gateway.holds.settle(call.hold, cost_nano=cost, tokens=tokens)
        if call.seat is not None:
            gateway.limits.leave(call.seat, tokens=tokens or None)
            call.seat = None
    return cost


def ended_by(error: Exception) -> Outcome:
    """Return the outcome of a call that no upstream served, or that broke in our own hands.

    The caller pays nothing, whatever an upstream may have billed to us.
    """
    if isinstance(error, GatewayError):
        return Outcome("failed", error.status, _NOTHING, is_free=True, error_code=error.code)
    broken = InternalError
    return Outcome("free", broken.status, _NOTHING, is_free=True, error_code=broken.code)


def left_unserved() -> Outcome:
    """Return the outcome of a call whose caller left before any upstream was at work on it."""
    return Outcome("client_left", CLIENT_CLOSED_REQUEST, _NOTHING, is_free=True)


def _cost(call: Call, outcome: Outcome) -> Picos:
    assert call.hold is not None
    # A fee for requests that a customer's own key has served would stand here; there is none.
    if outcome.is_free or call.is_own:
        return Picos(0)
    picos = cost_picos(call.price, outcome.usage)
    if outcome.is_estimated:
        return Picos(min(picos, call.hold.amount_nano * PICOS_PER_NANO))
    return picos


def _entry(call: Call, outcome: Outcome, picos: int, cost: int) -> UsageEntry:
    assert call.hold is not None
    usage, request = outcome.usage, call.request
    first_token_ms = round((call.first_token_at - request.started) * 1_000) if call.first_token_at else -1
    elapsed_ms = round((time.monotonic() - request.started) * 1_000)
    return UsageEntry(
        request_id=request.id,
        organization_id=call.caller.organization_id,
        key_id=call.caller.key_id,
        model_id=call.model.id,
        provider_id=call.model.provider,
        channel_id=call.channel.id if call.channel is not None else "",
        price_id=call.price.id,
        started_at_ms=request.started_at_ms,
        finished_at_ms=request.started_at_ms + elapsed_ms,
        first_token_ms=first_token_ms,
        is_stream=call.is_stream,
        outcome=outcome.name,
        status=outcome.status,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_picos=picos,
        cost_nano=cost,
        hold_nano=call.hold.amount_nano,
        is_estimated=outcome.is_estimated,
        attempts=call.attempts,
        finish_reason=outcome.finish_reason[:40],
        error_code=outcome.error_code,
        upstream_id=outcome.upstream_id[:80],
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        audio_input_tokens=usage.audio_input_tokens,
        cached_audio_tokens=usage.cached_audio_tokens,
        audio_output_tokens=usage.audio_output_tokens,
        image_input_tokens=usage.image_input_tokens,
        images=usage.images,
        searches=usage.searches,
        characters=usage.characters,
        seconds=usage.seconds,
        attempts_made=call.attempts_made,
        considered=call.considered,
        is_own_key=call.is_own,
    )
