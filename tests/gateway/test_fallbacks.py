"""Further models of a request: when they are turned to, what they cost, and what is held for them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from billing.spool import Intent, Usage
from catalog.snapshot import Channel, Price, Rates, Route, Tier
from gateway.call import Request
from gateway.endpoints import ENDPOINTS
from gateway.health import FAILURES_TO_OPEN, RETRY_FLOOR
from gateway.passages.table import passage_for
from gateway.pipeline import serve
from gateway.reply import Reply
from tests.gateway.attempts import ask, attempt, channel, model
from tests.gateway.conftest import Build
from tests.gateway.house import DONE, SSE_END, SSE_HEAD, House, Upstream, event, whole

BROKEN = whole(b"{}", "503 Service Unavailable")
REFUSED = whole(b'{"error":{"message":"too long for %s","param":"messages"}}', "400 Bad Request")
# Three times those of "m".
DEAR = Rates(input=3_000, cached_input=3_000, cache_write=3_000, output=3_000)
STREAM = SSE_HEAD + event("hello") + DONE + SSE_END


async def add(house: House, name: str, rates: Rates = DEAR, **fields: Any) -> Upstream:
    """Sell another model beside "m", through a channel of its own."""
    it = Upstream()
    listening = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    house.listening.append(listening)
    it.port = listening.sockets[0].getsockname()[1]
    behind = Channel(
        id=f"chan_{name}", name="two", provider="elsewhere", adapter="openai", api_key="sk-secret", weight=1, priority=1,
        base_url=f"http://127.0.0.1:{it.port}/v1", allow_private=True,
    )  # fmt: skip
    first = house.gateway.catalog.current.models["m"]
    price = Price(f"price_{name}", 0, (Tier(0, rates),))
    usual: dict[str, Any] = {"id": name, "prices": (price,), "routes": (Route(behind, f"up/{name}"),)}
    house.further.append(replace(first, **usual | fields))
    await house.gateway.catalog.refresh()
    return it


@pytest_asyncio.fixture
async def dear(house: House) -> Upstream:
    """Return the upstream of "n", which costs three times as much as "m"."""
    return await add(house, "n")


def _bound_of(upstream: Upstream) -> int:
    """Return how many tokens the first request may write."""
    (sent,) = (value for name, value in upstream.bodies[0].items() if name.startswith("max_"))
    return int(sent)


def told(body: bytes) -> Any:
    return json.loads(body)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
async def test_the_next_model_serves_when_no_way_to_the_first_does_and_it_alone_is_paid(
    house: House, upstream: Upstream, dear: Upstream, *, is_stream: bool
) -> None:
    upstream.script = upstream.says(BROKEN)
    if is_stream:
        dear.script = dear.says(STREAM)

    status, body = await house.answer(models=["n"], stream=is_stream)

    (usage,) = house.records(Usage)
    assert status == 200
    assert b'"model":"n"' in body
    assert b'"model":"m"' not in body
    assert (usage.model_id, usage.price_id, usage.channel_id) == ("n", "price_n", "chan_n")
    assert [intent.model_id for intent in house.records(Intent)] == ["m", "m", "m", "n"]
    assert [(each.model_id, each.error_code) for each in usage.attempts_made] == [
        ("m", "upstream_error")
    ] * 3 + [("n", "")]
    assert is_stream or usage.cost_nano == 15 * 3
    assert list(house.holds.values()) == [usage.cost_nano]


async def test_a_first_model_that_serves_is_paid_at_its_own_price(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    status, body = await house.answer(models=["n"])

    (usage,) = house.records(Usage)
    assert (status, told(body)["model"], usage.model_id, usage.cost_nano) == (200, "m", "m", 15)
    assert dear.bodies == []
    assert usage.all_attempts()[0].model_id in {"", "m"}


async def test_the_dearest_of_the_models_is_held_for(house: House, dear: Upstream) -> None:
    await house.answer(model="n", max_tokens=1_000)
    await house.answer(models=["n"], max_tokens=1_000)
    await house.answer(max_tokens=1_000)

    alone, beside, cheap = (intent.hold_nano for intent in house.records(Intent))
    assert beside == alone == 3 * cheap


async def test_credit_that_reaches_for_the_first_model_alone_is_refused_before_anybody_is_asked(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    house.balance_nano = 2_000

    alone, _ = await house.answer(max_tokens=1_000)
    beside, body = await house.answer(models=["n"], max_tokens=1_000)

    assert (alone, beside, len(upstream.bodies), dear.bodies) == (200, 402, 1, [])
    assert "dearest of its models" in told(body)["error"]["message"]


async def test_a_cheap_model_may_write_as_much_as_its_hold_buys_whatever_stands_beside_it(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    house.balance_nano = 6_000

    await house.answer(models=["n"], messages=[{"role": "user", "content": "hi"}])

    # Half of the credit is held: a thousand tokens at the dear model's price, three thousand at its own.
    bound = _bound_of(upstream)
    assert 2_900 <= bound <= 3_200


async def test_the_bound_that_is_told_is_that_of_the_model_that_serves(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    house.balance_nano = 6_000
    upstream.script = upstream.says(BROKEN)

    reply = house.ask(models=["n"])
    await reply.begun()
    await house.settled()

    bounds = [value for name, value in reply.headers if name == "x-fa-max-tokens"]
    sent = _bound_of(dear)
    assert bounds == [str(sent)]
    assert 900 <= sent <= 1_000


async def test_a_stream_that_outgrows_its_hold_goes_on_at_its_own_model_s_price(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    pieces = [event("word " * 1_000) for _ in range(8)]
    upstream.script = upstream.says(SSE_HEAD, *pieces, DONE + SSE_END)

    status, _ = await house.answer(models=["n"], stream=True)

    (usage,) = house.records(Usage)
    assert (status, usage.outcome, usage.finish_reason) == (200, "completed", "stop")
    # 10,000 tokens of "m"; and what was held covers them without a third of it lying idle.
    assert usage.cost_nano <= usage.hold_nano < 3 * usage.cost_nano


async def test_what_one_provider_refuses_the_next_model_may_take(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    upstream.script = upstream.says(REFUSED)

    status, body = await house.answer(models=["n"])

    (usage,) = house.records(Usage)
    assert (status, told(body)["model"]) == (200, "n")
    assert [each.error_code for each in usage.attempts_made] == ["invalid_request", ""]


async def test_of_several_refusals_the_first_model_s_is_told(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    upstream.script = upstream.says(whole(b'{"error":{"message":"first"}}', "400 Bad Request"))
    dear.script = dear.says(whole(b'{"error":{"message":"second"}}', "400 Bad Request"))

    status, body = await house.answer(models=["n"])

    (usage,) = house.records(Usage)
    assert (status, told(body)["error"]["message"]) == (400, "first")
    assert (usage.outcome, usage.cost_nano, house.holds) == ("failed", 0, {})


@pytest.mark.parametrize("is_first_broken", [True, False])
async def test_a_failure_that_may_pass_is_told_before_a_refusal(
    house: House, upstream: Upstream, dear: Upstream, *, is_first_broken: bool
) -> None:
    upstream.script, dear.script = upstream.says(REFUSED), dear.says(BROKEN)
    if is_first_broken:
        upstream.script, dear.script = upstream.says(BROKEN), dear.says(REFUSED)

    status, body = await house.answer(models=["n"])

    assert (status, told(body)["error"]["code"]) == (500, "upstream_error")


async def test_a_model_whose_channels_rest_is_passed_over_at_once(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    for _ in range(FAILURES_TO_OPEN):
        house.gateway.health.failed("chan_1")

    status, body = await house.answer(models=["n"])

    (usage,) = house.records(Usage)
    assert (status, told(body)["model"], upstream.bodies) == (200, "n", [])
    assert [(each.model_id, each.channel_id) for each in usage.all_attempts()] == [("n", "chan_n")]


async def test_another_model_is_no_retry_and_needs_none_of_their_budget(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    upstream.script = upstream.says(BROKEN)
    for _ in range(round(RETRY_FLOOR)):
        assert house.gateway.health.may_retry()

    status, _ = await house.answer(models=["n"])

    (usage,) = house.records(Usage)
    assert (status, usage.model_id, usage.attempts) == (200, "n", 2)


async def test_a_model_named_twice_is_asked_as_often_as_one(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    upstream.script, dear.script = upstream.says(BROKEN), dear.says(BROKEN)

    status, _ = await house.answer(models=["m", "n", "n"])

    (usage,) = house.records(Usage)
    assert (status, usage.attempts, len(upstream.bodies), len(dear.bodies)) == (500, 6, 3, 3)


async def test_a_caller_who_has_left_waits_for_no_further_model(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    replies: list[Reply] = []

    async def refuses(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies[0].leave()
        writer.write(REFUSED)

    upstream.script = refuses
    replies.append(house.ask(models=["n"]))
    await house.settled()

    assert (len(upstream.bodies), dear.bodies, house.holds) == (1, [], {})


async def test_thoughts_unseen_are_held_for_where_any_of_the_models_has_them(
    house: House, upstream: Upstream
) -> None:
    thinker = await add(house, "thinker", capabilities=frozenset({"reasoning"}))
    upstream.script, thinker.script = upstream.says(BROKEN), thinker.says(STREAM)

    status, _ = await house.answer(models=["thinker"], stream=True)

    *_, last = house.records(Intent)
    assert (status, last.model_id) == (200, "thinker")
    # The whole of what the model may write: 8,192 tokens at its price.
    assert last.hold_nano >= 8_192 * 3


@pytest.mark.parametrize(
    ("others", "status", "code"),
    [
        (["nobody"], 404, "model_not_found"),
        (["n", "nobody"], 404, "model_not_found"),
        (["vectors"], 400, "invalid_request"),
        (["forbidden"], 403, "permission_denied"),
    ],
)
async def test_each_of_the_models_must_be_one_that_can_serve(
    house: House, upstream: Upstream, dear: Upstream, others: list[str], status: int, code: str
) -> None:
    await add(house, "vectors", kind="embedding")
    await add(house, "forbidden")
    house.allowed_models = frozenset({"m", "n", "vectors"})

    answered, body = await house.answer(models=others)

    error = told(body)["error"]
    assert (answered, error["code"], error["param"]) == (status, code, "models")
    assert f"'{others[-1]}'" in error["message"]
    assert (upstream.bodies, house.records(Usage)) == ([], [])


async def test_what_a_further_model_cannot_do_is_told_at_once(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    seeing = await add(house, "seeing", input_modalities=("text", "image"))
    picture = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}

    status, body = await house.answer(
        model="seeing", models=["n"], messages=[{"role": "user", "content": [picture]}]
    )

    assert (status, told(body)["error"]["message"]) == (400, "The model 'n' does not read images.")
    assert seeing.bodies == []


async def test_the_cheapest_serves_where_price_decides(house: House, dear: Upstream) -> None:
    await house.answer(model="n", models=["m"], provider={"sort": "price"})

    (usage,) = house.records(Usage)
    assert usage.model_id == "m"


async def test_only_the_wished_provider_is_asked(house: House, upstream: Upstream, dear: Upstream) -> None:
    status, body = await house.answer(models=["n"], provider={"only": ["elsewhere"]})

    assert (status, told(body)["model"], upstream.bodies) == (200, "n", [])


async def test_a_wish_that_cannot_come_true_is_400_and_nothing_is_held(
    house: House, upstream: Upstream, dear: Upstream
) -> None:
    status, body = await house.answer(provider={"only": ["elsewhere"]})

    error = told(body)["error"]
    assert (status, error["code"], error["param"]) == (400, "invalid_request", "provider")
    assert (upstream.bodies, house.holds) == ([], {})


async def test_a_wish_that_cannot_come_true_now_is_503(house: House, upstream: Upstream) -> None:
    for _ in range(FAILURES_TO_OPEN):
        house.gateway.health.failed("chan_1")

    status, body = await house.answer(provider={"only": ["other"]})

    assert (status, told(body)["error"]["code"]) == (503, "service_unavailable")


@pytest.mark.parametrize(
    ("path", "adapters"),
    [
        ("/v1/chat/completions", ["openai", "deepseek", "openai_responses", "anthropic", "gemini"]),
        ("/v1/responses", ["openai_responses", "azure", "openai", "anthropic"]),
        ("/v1/messages", ["anthropic", "openai", "bedrock"]),
    ],
)
def test_no_upstream_is_told_what_is_for_us(path: str, adapters: list[str]) -> None:
    format_ = ENDPOINTS[path]
    hello: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
    if path == "/v1/responses":
        hello = {"model": "m", "input": "hi"}
    wished = {"models": ["secret-wish"], "provider": {"order": ["secret-wish"], "sort": "price"}}
    for adapter in adapters:
        made = attempt(ask(format_, hello | wished), channel=channel("own", adapter), model=model())
        sent = passage_for(format_, made.route, made.model).prepare(made).body

        assert made.asked.wishes is not None
        assert b"secret-wish" not in sent
        assert b'"provider"' not in sent


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
async def test_further_models_are_turned_to_in_every_format(
    build: Build, upstream: Upstream, path: str
) -> None:
    house = await build()
    dear = await add(house, "n")
    upstream.script = upstream.says(BROKEN)
    fields: dict[str, Any] = {"input": "hi", "store": False}
    if path == "/v1/messages":
        fields = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}
    headers = {"authorization": f"Bearer {house.token}", "content-type": "application/json"}
    body = json.dumps({"model": "m", "models": ["n"]} | fields).encode()

    reply = serve(house.gateway, Request(headers, body, ENDPOINTS[path]))
    await reply.begun()
    answer = b""
    while (piece := await reply.piece()) is not None:
        answer += piece
    await house.settled()

    assert (reply.status, told(answer)["model"], len(dear.bodies)) == (200, "n", 1)
