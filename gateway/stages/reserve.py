"""3. Reserve: limits, budgets and the hold, decided together in one Lua call.

With an explicit maximum the hold covers it. Without one a stream holds ``STREAM_STEP`` tokens at a time, and a whole
answer the model's maximum or half of what is available, whichever is less; that bound is sent upstream. A stream of a
model that reasons is held like a whole answer: thoughts that are not shown are billed all at once, at its end.

What only the caller's own key of a provider may serve costs no credit: it has its place in the limits, and holds nothing.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from billing.holds import OWN, UNBOUNDED, Ask, HoldsUnavailable
from billing.refusals import Budget, InsufficientCredit, Limits, RateLimited
from billing.spool import Intent, SpoolFull
from catalog.pricing import Usage, cost_picos, dearest, units_picos
from catalog.snapshot import Route
from fastanchor.lib.money import PICOS_PER_NANO, exact_usd, round_picos
from fastanchor.lib.windows import said
from gateway.asked import NO_UNITS
from gateway.call import Call
from gateway.errors import GatewayError, InsufficientQuota, RateLimit, ServiceUnavailable
from gateway.runtime import Gateway
from gateway.upstreams.bounds import most_written, thoughts_apart

STREAM_STEP = 2_048
LEAST_WHOLE_OUTPUT = 256
# Where the catalog knows neither a maximum of a model nor how much it holds.
ASSUMED_MAX_OUTPUT = 16_384


async def reserve(gateway: Gateway, call: Call, *, is_free: bool = False) -> None:
    """Place the hold of a call; raises 402, 429 and 503 errors. One that is free counts as a request and no more."""
    ask = _dearest(call) if call.fallbacks else _ask(call)
    if is_free:
        mode = OWN if ask.mode == OWN else "explicit"
        ask = msgspec.structs.replace(ask, mode=mode, **dict.fromkeys(("input_tokens", *_OF_MODELS), 0))
    try:
        gateway.spool.make_room()
        call.hold = await gateway.holds.place(ask)
    except SpoolFull as exc:
        raise ServiceUnavailable(
            "Requests cannot be recorded right now. Try again soon.", retry_after_s=5
        ) from exc
    except HoldsUnavailable as exc:
        raise ServiceUnavailable(
            "Credit cannot be reserved right now. Try again soon.", retry_after_s=exc.retry_after_s
        ) from exc
    except RateLimited as exc:
        raise _too_many(exc, call) from exc
    except InsufficientCredit as exc:
        await _reserve_for_own_keys(gateway, call, exc, is_free=is_free)
        return
    if call.fallbacks and not is_free:
        fit(call)
    elif call.asked.explicit_max is None:
        call.output_bound = _bound(call)


async def _reserve_for_own_keys(
    gateway: Gateway, call: Call, refusal: InsufficientCredit, *, is_free: bool
) -> None:
    """Where credit does not reach, reserve for what the caller's own keys may serve; else raise 402."""
    if call.needs_no_credit or not _leave_to_own_keys(call):
        raise _too_little(refusal, call) from refusal
    await reserve(gateway, call, is_free=is_free)


def _leave_to_own_keys(call: Call) -> bool:
    """Take from a call all channels that cost credit; tells whether any other is left for its model."""
    candidates = _own(call.candidates)
    if call.own is None or not candidates:
        return False
    call.candidates, call.own = candidates, replace(call.own, is_only=True)
    call.fallbacks = tuple(
        msgspec.structs.replace(option, candidates=own, own=replace(option.own, is_only=True))
        for option in call.fallbacks
        if option.own is not None and (own := _own(option.candidates))
    )
    return True


def _own(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    return tuple(route for route in routes if route.channel.is_own)


def _ask_nothing(ask: Ask) -> Ask:
    """Return what asks for a place in the limits only, with nothing that bounds the output."""
    nothing = dict.fromkeys(_OF_MODELS, 0)
    return msgspec.structs.replace(ask, mode=OWN, **nothing | {"output_tokens": UNBOUNDED})


def unbind(call: Call) -> None:
    """Let credit bound nothing any more: the caller's own key serves. The hold ends with the call, at no cost."""
    assert call.hold is not None
    call.hold.output_tokens, call.output_bound = UNBOUNDED, None


def fit(call: Call) -> None:
    """Make a hold that covers the dearest of several models the hold of the one that is asked now.

    The money stays; it is worth as many output tokens as this model sells for it.
    """
    hold, ask = call.hold, _ask(call)
    assert hold is not None
    tokens = ask.output_tokens
    if ask.mode != "explicit" and ask.output_rate_picos:
        tokens = (hold.amount_nano * PICOS_PER_NANO - ask.input_cost_picos) // ask.output_rate_picos
    hold.ask = ask
    hold.output_tokens = min(tokens, ask.output_tokens) if ask.mode == "whole" else tokens
    call.output_bound = None if ask.mode == "explicit" else _bound(call)


def write_intent(gateway: Gateway, call: Call) -> None:
    """Note in the spool that an upstream may bill this call; before its bytes leave."""
    assert call.hold is not None
    assert call.channel is not None
    gateway.spool.append(
        Intent(
            request_id=call.request.id,
            organization_id=call.caller.organization_id,
            key_id=call.caller.key_id,
            model_id=call.model.id,
            provider_id=call.model.provider,
            channel_id=call.channel.id,
            price_id=call.price.id,
            started_at_ms=call.request.started_at_ms,
            is_stream=call.is_stream,
            hold_nano=call.hold.amount_nano,
            cost_nano=min(call.hold.amount_nano, estimated_cost(call, 0)),
            member=call.caller.member,
            is_own_key=call.is_own,
        )
    )


def estimated_usage(call: Call, output_tokens: int) -> Usage:
    """Return the usage of a call whose upstream reported none.

    Characters are known from the request; of searches, pictures and seconds only the most is, and nobody pays for that.
    """
    characters = call.asked.most_units.characters
    audio = call.estimate.audio
    return Usage(call.estimate.fair, 0, 0, output_tokens, 0, audio_input_tokens=audio, characters=characters)


def estimated_cost(call: Call, output_tokens: int) -> int:
    """Return what the call costs by estimate, in nano-USD."""
    if call.is_own:
        return 0
    return round_picos(cost_picos(call.price, estimated_usage(call, output_tokens)))


def max_output(call: Call) -> int:
    """Return the most output tokens of the call's model, over all choices."""
    return _written(call, call.model.max_output or call.model.context_window or ASSUMED_MAX_OUTPUT)


def _written(call: Call, bound: int) -> int:
    """Return the most output tokens over all choices of which each is bounded."""
    return most_written(bound, call.model, call.candidates, call.request.format.name) * call.asked.choices


def _ask(call: Call) -> Ask:
    caller, prompt, choices = call.caller, call.asked.prompt, call.asked.choices
    units = call.asked.most_units
    # A file may be a recording, too.
    rates = dearest(call.price, has_sound=bool(prompt.audios or prompt.audio_bytes or prompt.files))
    explicit = call.asked.explicit_max
    if explicit is not None:
        wanted = least = _written(call, explicit)
        mode = "explicit"
    elif call.is_stream and "reasoning" not in call.model.capabilities:
        mode, wanted, least = "stream", min(STREAM_STEP, max_output(call)), _written(call, 1)
    else:
        mode, wanted, least = "whole", max_output(call), LEAST_WHOLE_OUTPUT * choices
    ask = Ask(
        request_id=call.request.id,
        organization_id=caller.organization_id,
        key_id=caller.key_id,
        requests_per_minute=caller.requests_per_minute,
        tokens_per_minute=caller.tokens_per_minute,
        key_requests_per_minute=caller.key_requests_per_minute,
        key_tokens_per_minute=caller.key_tokens_per_minute,
        concurrency=caller.concurrency,
        budgets=caller.budgets,
        input_tokens=call.estimate.fair,
        input_cost_picos=call.estimate.most * rates.input
        + -(-prompt.predicted_bytes // 2) * choices * rates.output
        + (0 if units is NO_UNITS else units_picos(rates, units)),
        output_rate_picos=rates.output,
        output_tokens=wanted,
        least_output_tokens=least,
        mode=mode,
    )
    return ask if call.own is None or not call.own.is_only else _ask_nothing(ask)


def _dearest(call: Call) -> Ask:
    """Return what covers whichever of the models serves."""
    asks = [_ask(each) for each in (call, *map(call.at, call.fallbacks))]
    # What only the caller's own key may serve costs no credit.
    asks = [ask for ask in asks if ask.mode != OWN] or asks
    most = {name: max(getattr(ask, name) for ask in asks) for name in _OF_MODELS}
    # Beside "explicit", which all of them are or none.
    mode = "whole" if any(ask.mode == "whole" for ask in asks) else asks[0].mode
    return msgspec.structs.replace(asks[0], mode=mode, **most)


_OF_MODELS = ("input_cost_picos", "output_rate_picos", "output_tokens", "least_output_tokens")


def _bound(call: Call) -> int | None:
    """Return the bound of one choice's output that money sets, if it is below the model's own."""
    hold, bounds = call.hold, call.asked.choices * thoughts_apart(call.model, call.candidates)
    assert hold is not None
    affordable = hold.output_tokens
    if hold.ask.mode == "stream" and hold.ask.output_rate_picos:
        affordable += hold.left_nano * 1_000 // hold.ask.output_rate_picos
    elif hold.ask.mode == "stream":
        return None
    return affordable // bounds if affordable < max_output(call) else None


def limit_headers(limits: Limits) -> list[tuple[str, str]]:
    """Return both minute limits under OpenAI's header names; resets as durations such as ``6m0s``."""
    requests, tokens = limits.requests, limits.tokens
    return [
        ("x-ratelimit-limit-requests", str(requests.limit)),
        ("x-ratelimit-remaining-requests", str(requests.remaining)),
        ("x-ratelimit-reset-requests", _duration(requests.reset_ms)),
        ("x-ratelimit-limit-tokens", str(tokens.limit)),
        ("x-ratelimit-remaining-tokens", str(tokens.remaining)),
        ("x-ratelimit-reset-tokens", _duration(tokens.reset_ms)),
    ]


def _duration(ms: int) -> str:
    if ms < 1_000:
        return f"{ms}ms"
    minutes, rest = divmod(ms, 60_000)
    seconds = f"{rest / 1_000:.3f}".rstrip("0").rstrip(".")
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


_WHAT = {
    "requests": "requests per minute",
    "tokens": "tokens per minute",
    "concurrency": "requests running at once",
}


def _too_many(refusal: RateLimited, call: Call) -> GatewayError:
    headers = tuple(limit_headers(refusal.limits))
    if refusal.dimension == "tokens" and call.estimate.fair > refusal.limit:
        return RateLimit(
            f"This request has about {call.estimate.fair} input tokens; the limit is {refusal.limit} tokens per minute. "
            "Shorten the prompt or raise the limit.",
            param="tokens",
            should_retry=False,
            headers=headers,
        )
    return RateLimit(
        f"The limit of {refusal.limit} {_WHAT[refusal.dimension]} is reached. "
        f"Try again in {_duration(refusal.retry_after_ms)}.",
        param=refusal.dimension,
        retry_after_s=refusal.retry_after_ms / 1_000,
        headers=headers,
    )


_WHOSE = {
    "key": "this API key",
    "user": "the member who made this API key",
    "org": "this organization",
}


def _short_of(budget: Budget | None) -> tuple[str, str]:
    """Say what does not reach, and what helps."""
    if budget is None:
        return "credit", "Top up in the dashboard"
    anew = said(budget.window, budget.asked_at)
    remedy = "Raise the budget in the dashboard"
    whose = _WHOSE[budget.subject.partition("_")[0]]
    return (
        f"{budget.window.adjective} budget of {whose}",
        f"It starts anew {anew}. {remedy}" if anew else remedy,
    )


def _too_little(refusal: InsufficientCredit, call: Call) -> GatewayError:
    what, remedy = _short_of(refusal.budget)
    left, needed = exact_usd(max(0, refusal.left_nano)), exact_usd(refusal.needed_nano)
    if not refusal.needed_nano:
        message = f"The {what} is used up, and without any not even a free request is served. {remedy}."
    elif call.model.kind != "chat" or not refusal.affordable_tokens:
        message = (
            f"This request may cost ${needed} or more, but ${left} of the {what} is available. {remedy}."
        )
    else:
        bound = call.request.format.param("max_output")
        message = (
            f"This request may cost up to ${needed} for {refusal.asked_tokens} output tokens, but ${left} of the {what} "
            f"is available, enough for {refusal.affordable_tokens} output tokens. {remedy}, or ask for fewer '{bound}'."
        )
    if call.fallbacks:
        message += " As much is reserved as the dearest of its models may cost."
    return InsufficientQuota(message, headers=tuple(limit_headers(refusal.limits)))
