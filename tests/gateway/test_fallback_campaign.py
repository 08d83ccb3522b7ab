"""Any faults at any of several models, drawn by a seed: who serves, who pays, and what is held."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from billing.spool import Intent, Usage
from catalog.snapshot import Rates
from gateway.health import Health
from tests.gateway.conftest import Build
from tests.gateway.house import DONE, SSE_END, SSE_HEAD, House, Upstream, completion, event, whole
from tests.gateway.test_fallbacks import add

# In full it takes some minutes.
pytestmark = pytest.mark.timeout(900)

SERVES = "serves"
FAULTS: dict[str, bytes] = {
    "500": whole(b"{}", "500 Internal Server Error"),
    "503": whole(b"<html>", "503 Service Unavailable"),
    "429": whole(b"{}", "429 Too Many Requests", "retry-after: 0\r\n"),
    "404": whole(b"{}", "404 Not Found"),
    "403": whole(b"{}", "403 Forbidden"),
    "nonsense": whole(b"<html>"),
    "hang up": b"",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "400": whole(b'{"error":{"message":"no"}}', "400 Bad Request"),
}
RATES = {"m": 1_000, "n": 3_000, "o": 2_000}


class Round(NamedTuple):
    """What one request asks, and how each model's upstream behaves."""

    behaviour: dict[str, str]
    models: list[str]
    fields: dict[str, Any]

    @property
    def serving(self) -> str | None:
        """Return the model that must serve."""
        return next((name for name in self.models if self.behaviour[name] == SERVES), None)


def drawn(dice: random.Random) -> Round:
    behaviour = {name: dice.choice([SERVES, *FAULTS]) for name in RATES}
    models = dice.sample(list(RATES), k=dice.randint(1, 3))
    fields: dict[str, Any] = {"stream": dice.random() < 0.5}
    if dice.random() < 0.5:
        fields["max_tokens"] = dice.randint(1, 5_000)
    if dice.random() < 0.3:
        models.sort(key=lambda name: RATES[name])
        fields["provider"] = {"sort": "price"}
    return Round(behaviour, models, fields)


def script(upstream: Upstream, behaviour: str, *, is_stream: bool) -> Callable[..., Any]:
    if behaviour == SERVES:
        return upstream.says(SSE_HEAD + event("hello") + DONE + SSE_END if is_stream else whole(completion()))
    return upstream.says(FAULTS[behaviour], close=not FAULTS[behaviour].endswith(b"}"))


async def played(house: House, upstreams: dict[str, Upstream], one: Round) -> None:
    """Ask once and hold what came of it against what must hold."""
    is_stream = one.fields["stream"]
    for name, upstream in upstreams.items():
        upstream.script = script(upstream, one.behaviour[name], is_stream=is_stream)
        upstream.bodies.clear()
    house.gateway.health = Health()
    before = len(house.records(Usage)), len(house.records(Intent)), set(house.holds)
    first, *others = one.models

    status, body = await house.answer(model=first, models=others, **one.fields)

    (usage,) = house.records(Usage)[before[0] :]
    intents = house.records(Intent)[before[1] :]
    held = {name: amount for name, amount in house.holds.items() if name not in before[2]}
    assert {intent.hold_nano for intent in intents} == {usage.hold_nano}
    assert list(dict.fromkeys(intent.model_id for intent in intents)) == _asked(one)
    assert len(intents) == usage.attempts <= 3 * len(one.models)
    assert not any(
        "models" in sent or "provider" in sent for each in upstreams.values() for sent in each.bodies
    )
    if one.serving is None:
        only_refusals = {one.behaviour[name] for name in one.models} == {"400"}
        assert (status == 400) is only_refusals
        assert status == usage.status >= 400
        assert (usage.cost_nano, held) == (0, {})
        return
    assert (status, usage.model_id, usage.price_id) == (200, one.serving, _price(one.serving))
    assert json.dumps(one.serving).encode() in body
    assert usage.cost_nano == (usage.input_tokens + usage.output_tokens) * RATES[one.serving] // 1_000
    assert 0 < usage.cost_nano <= usage.hold_nano
    assert list(held.values()) == [usage.cost_nano]


def _asked(one: Round) -> list[str]:
    upto = len(one.models) if one.serving is None else one.models.index(one.serving) + 1
    return one.models[:upto]


def _price(name: str) -> str:
    return "price_1" if name == "m" else f"price_{name}"


async def test_the_first_model_that_can_serves_and_alone_is_paid_whatever_happens_at_the_others(
    build: Build, upstream: Upstream, seed: int, *, is_full: bool
) -> None:
    house = await build()
    upstreams = {"m": upstream}
    for name in ("n", "o"):
        rate = RATES[name]
        upstreams[name] = await add(house, name, Rates(rate, rate, rate, rate))
    dice = random.Random(seed)

    for _ in range(400 if is_full else 40):
        await played(house, upstreams, drawn(dice))
