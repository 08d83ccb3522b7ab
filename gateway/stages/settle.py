"""6. Settle: write what the call cost into the spool and give back the rest of its hold.

Who pays when things break: a completed answer costs what its upstream reported; a caller who left pays for what was
drained or relayed; an upstream that died after content, for input and what was delivered, by estimate and within the
hold; nothing delivered, or our fault, costs nothing.
"""

from __future__ import annotations

import time

from billing.spool import Usage as UsageEntry, Void
from catalog.pricing import Usage, cost_picos
from fastanchor.lib.money import PICOS_PER_NANO, Picos, round_picos
from gateway.call import Call, Outcome
from gateway.errors import GatewayError
from gateway.runtime import Gateway

_NOTHING = Usage(0, 0, 0, 0, 0)


def settle(gateway: Gateway, call: Call, outcome: Outcome | None) -> int:
    """End a call and return its cost in nano-USD; ``None`` means that nothing was or could be billed."""
    assert call.hold is not None
    cost = tokens = 0
    try:
        if outcome is not None and outcome.usage is not None:
            picos = _cost(call, outcome)
            cost = round_picos(picos)
            tokens = outcome.usage.input_tokens + outcome.usage.output_tokens
            gateway.spool.append(_entry(call, outcome, picos, cost))
        elif call.attempts:
            gateway.spool.append(Void(call.request.id))
    finally:
        # Also when nothing can be written: a hold that is never settled would be renewed for ever.
        gateway.holds.settle(call.hold, cost_nano=cost, tokens=tokens)
    return cost


def nothing_delivered(error: GatewayError) -> Outcome:
    """Return the outcome of a call that an upstream may have billed to us, but that the caller does not pay."""
    return Outcome("free", error.status, _NOTHING, is_estimated=True, is_free=True, error_code=error.code)


def _cost(call: Call, outcome: Outcome) -> Picos:
    assert call.hold is not None
    assert outcome.usage is not None
    if outcome.is_free:
        return Picos(0)
    picos = cost_picos(call.price, outcome.usage)
    if outcome.is_estimated:
        return Picos(min(picos, call.hold.amount_nano * PICOS_PER_NANO))
    return picos


def _entry(call: Call, outcome: Outcome, picos: int, cost: int) -> UsageEntry:
    assert call.hold is not None
    assert call.channel is not None
    assert outcome.usage is not None
    usage, request = outcome.usage, call.request
    first_token_ms = round((call.first_token_at - request.started) * 1_000) if call.first_token_at else -1
    elapsed_ms = round((time.monotonic() - request.started) * 1_000)
    return UsageEntry(
        request_id=request.id,
        organization_id=call.caller.organization_id,
        key_id=call.caller.key_id,
        model_id=call.model.id,
        provider_id=call.model.provider,
        channel_id=call.channel.id,
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
    )
