"""What is held covers whatever a request may use, and what was used is written down whole."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from accounts.keyring import Caller
from billing.holds import Hold
from billing.refusals import Limits, Minute
from billing.spool import Intent
from catalog.pricing import Usage, cost_picos
from catalog.snapshot import Channel, Model, Price, Rates, Route, Tier
from fastanchor.lib.money import round_picos
from gateway.asked import Asked
from gateway.call import Call, Outcome, Request
from gateway.endpoints import ENDPOINTS
from gateway.runtime import Gateway
from gateway.stages.reserve import _ask, estimated_usage, write_intent
from gateway.stages.route import estimate
from gateway.stages.settle import _cost, _entry

RATES = Rates(
    input=10, cached_input=2, cache_write=12, output=40, cache_write_1h=20, audio_input=30, cached_audio_input=3,
    audio_output=80, image_input=15, image=1_000, search=2_000, character=3_000, second=4_000,
)  # fmt: skip
CHANNEL = Channel(
    id="chan_1", name="one", provider="acme", adapter="openai", api_key="", weight=1, priority=1,
    base_url="https://x.example/v1", allow_private=False,
)  # fmt: skip
MINUTE = Minute(1, 1, 1)


def _call(path: str, **fields: Any) -> Call:
    model = Model(
        "m", "acme", "M", 8_000, 1_000, frozenset({"web_search"}), ("text",), ("text",), 0,
        (Price("price_1", 0, (Tier(0, RATES),)),), (Route(CHANNEL, "m"),),
    )  # fmt: skip
    format_ = ENDPOINTS[path]
    body = json.dumps({"model": "m"} | fields).encode()
    asked: Asked = format_.parse(body, {})
    caller = Caller(
        key_id="key_1", organization_id="org_1", plan="payg", requests_per_minute=9, tokens_per_minute=9, concurrency=9
    )  # fmt: skip
    request = Request({}, body, format_)
    call = Call(request, caller, asked, model, model.prices[0], model.routes, estimate(asked.prompt))
    call.hold = Hold(_ask(call), 10**12, 5, 0, Limits(MINUTE, MINUTE))
    call.channel, call.attempts = CHANNEL, 1
    return call


@pytest.mark.parametrize(
    ("path", "fields", "units"),
    [
        ("/v1/audio/speech", {"input": "Hello.", "voice": "alloy"}, {"characters": 6}),
        ("/v1/images/generations", {"prompt": "A hat.", "n": 2}, {"images": 2}),
        (
            "/v1/messages",
            {
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "hi"}],
                "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}],
            },
            {"searches": 3},
        ),
    ],
)
def test_a_hold_covers_what_is_no_token(path: str, fields: dict[str, Any], units: dict[str, int]) -> None:
    call = _call(path, **fields)

    ask = _ask(call)

    most = Usage(call.estimate.most, 0, 0, ask.output_tokens, 0, **units)
    assert all(getattr(call.asked.most_units, name) >= count for name, count in units.items())
    assert ask.input_cost_picos + ask.output_tokens * ask.output_rate_picos >= cost_picos(call.price, most)
    # 20 is the dearest that a token of text can cost.
    beside = cost_picos(call.price, call.asked.most_units)
    assert ask.input_cost_picos == call.estimate.most * 20 + beside > call.estimate.most * 20


def test_sound_is_held_at_its_own_price_and_estimated_as_sound() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "A" * 4_000, "format": "wav"}}
    call = _call("/v1/chat/completions", messages=[{"role": "user", "content": [sound]}], max_tokens=9)

    assert _ask(call).input_cost_picos == call.estimate.most * 30
    assert estimated_usage(call, 7).audio_input_tokens == 10


def test_the_record_holds_every_class_that_was_billed() -> None:
    call = _call("/v1/audio/speech", input="Hello.", voice="alloy")
    usage = Usage(*range(1_000, 1_000 + len(Usage.__struct_fields__)))
    outcome = Outcome("completed", 200, usage)

    picos = _cost(call, outcome)
    entry = _entry(call, outcome, picos, round_picos(picos))

    written = {name: getattr(entry, name) for name in Usage.__struct_fields__}
    assert written == msgspec.structs.asdict(usage)
    assert cost_picos(call.price, Usage(**written)) == entry.cost_picos


def test_a_request_is_asked_for_with_the_budgets_in_force_and_its_intent_names_the_member() -> None:
    call = _call("/v1/chat/completions", messages=[{"role": "user", "content": "hi"}])
    budgets = ("user_7", "day", 5, "org_1", "month", 9)
    call.caller = replace(call.caller, budgets=budgets, member="user_7")
    written: list[Intent] = []
    gateway = SimpleNamespace(spool=SimpleNamespace(append=written.append))

    write_intent(cast("Gateway", gateway), call)

    assert _ask(call).budgets == budgets
    assert [(intent.request_id, intent.member) for intent in written] == [(call.request.id, "user_7")]
