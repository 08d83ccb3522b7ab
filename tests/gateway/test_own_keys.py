"""A customer's own key of a provider: whom it serves, what it costs, and what is told where it fails."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

from billing.holds import Spending, Spent
from billing.settlement import interrupted
from billing.spool import Checkpoint, Intent, Usage
from catalog.snapshot import Channel, Model, OwnKey
from catalog.verdicts import Refusal
from gateway.call import Request
from gateway.credentials import Credentials
from gateway.formats.chat import Chat
from gateway.pipeline import serve
from tests.gateway.house import (
    DONE,
    ORGANIZATION,
    SSE_END,
    SSE_HEAD,
    House,
    Upstream,
    completion,
    event,
    whole,
)

SECRET = "sk-the-customers-own-0001"
UNAUTHORIZED = whole(b'{"error":{"message":"Incorrect API key provided: sk-the"}}', "401 Unauthorized")
NO_QUOTA = whole(
    b'{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}',
    "429 Too Many Requests",
)
BUSY = whole(b'{"error":{"message":"slow down"}}', "429 Too Many Requests", "retry-after: 7\r\n")
BROKEN = whole(b'{"error":{"message":"no"}}', "503 Service Unavailable")


@pytest_asyncio.fixture
async def theirs(house: House, second: Upstream) -> Upstream:
    """Return the upstream behind the house's customer's own key, which alone leads there."""
    house.others.remove(second)
    return second


async def _own(house: House, theirs: Upstream, *, is_only: bool = True, trouble: str = "") -> OwnKey:
    channel = Channel(
        id="chan_own", name="own", provider="other", adapter="openai", api_key=SECRET, weight=1, priority=10,
        base_url=f"http://127.0.0.1:{theirs.port}/v1", allow_private=True, credential="cred_own.1",
        dedicated_to=ORGANIZATION, is_own=True,
    )  # fmt: skip
    own = OwnKey("Other", is_only, None if trouble else channel, trouble)
    house.own[ORGANIZATION] = {"other": own}
    await house.gateway.catalog.refresh()
    return own


def _usage(house: House) -> Usage:
    [usage] = house.records(Usage)
    assert isinstance(usage, Usage)
    return usage


def _error(body: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(body)["error"]
    return error


async def test_an_own_key_serves_first_and_its_request_costs_nothing(
    house: House, upstream: Upstream, theirs: Upstream
) -> None:
    await _own(house, theirs)

    status, body = await house.answer()

    assert status == 200
    assert not upstream.bodies
    assert f"authorization: Bearer {SECRET}".encode() in theirs.heads[0]
    assert json.loads(body)["usage"]["cost_nano_usd"] == 0
    usage = _usage(house)
    assert (usage.is_own_key, usage.cost_nano, usage.cost_picos, usage.hold_nano) == (True, 0, 0, 0)
    assert (usage.input_tokens, usage.output_tokens, usage.channel_id) == (10, 5, "chan_own")
    assert house.holds == {}


@pytest.mark.parametrize("is_stream", [False, True])
async def test_without_any_credit_an_only_key_serves_in_full(
    house: House, theirs: Upstream, *, is_stream: bool
) -> None:
    house.balance_nano = 0
    await _own(house, theirs)
    if is_stream:
        # Far more than a stream is ever held for at once.
        words = [event("word " * 4_000) for _ in range(5)]
        theirs.script = theirs.says(SSE_HEAD, *words, DONE, SSE_END)

    status, body = await house.answer(stream=is_stream)

    assert status == 200
    assert is_stream is False or (b'"finish_reason":"stop"' in body and body.count(b"word") == 20_000)
    assert "max_tokens" not in theirs.bodies[0]
    assert "max_completion_tokens" not in theirs.bodies[0]
    assert _usage(house).outcome == "completed"
    assert _usage(house).cost_nano == 0


async def test_where_credit_may_follow_it_is_held_and_given_back_whole(
    house: House, upstream: Upstream, theirs: Upstream
) -> None:
    await _own(house, theirs, is_only=False)
    seen: list[int] = []

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(house.holds.values())
        writer.write(whole(completion()))

    theirs.script = script

    status, _ = await house.answer()

    assert status == 200
    assert seen[0] > 0
    assert house.holds == {}
    assert not upstream.bodies
    assert (_usage(house).is_own_key, _usage(house).cost_nano) == (True, 0)


async def test_credit_bounds_nothing_that_the_own_key_serves(house: House, theirs: Upstream) -> None:
    house.balance_nano = 2_000_000
    await _own(house, theirs, is_only=False)

    reply = house.ask()
    await reply.begun()

    assert reply.status == 200
    assert "max_tokens" not in theirs.bodies[0]
    assert "x-fa-max-tokens" not in dict(reply.headers)


@pytest.mark.parametrize("answer", [UNAUTHORIZED, NO_QUOTA, BUSY, BROKEN])
async def test_what_the_own_key_does_not_serve_is_served_for_credit_where_that_is_allowed(
    house: House, upstream: Upstream, theirs: Upstream, answer: bytes
) -> None:
    theirs.script = theirs.says(answer)
    await _own(house, theirs, is_only=False)

    status, _ = await house.answer()

    usage = _usage(house)
    assert status == 200
    assert (usage.is_own_key, usage.cost_nano, usage.channel_id) == (False, 15, "chan_1")
    assert len(upstream.bodies) == 1
    failed, *_, served = usage.attempts_made
    assert failed.error_code.startswith("own_key_")
    assert served.error_code == ""


@pytest.mark.parametrize(
    ("answer", "status", "code", "words"),
    [
        (UNAUTHORIZED, 403, "permission_denied", "Your own Other key was refused by the provider (401)."),
        (NO_QUOTA, 403, "permission_denied", "for want of credit or quota there (402)."),
        (
            whole(b"{}", "403 Forbidden"),
            403,
            "permission_denied",
            "may not do this at the provider (403).",
        ),
        (whole(b"{}", "404 Not Found"), 403, "permission_denied", "does not reach this model"),
        (BUSY, 429, "rate_limit", "has reached a limit of the provider (429)."),
        (BROKEN, 500, "upstream_error", "did not give a usable answer"),
    ],
)
async def test_an_only_key_that_fails_never_falls_back_and_is_told_of_plainly(
    house: House, upstream: Upstream, theirs: Upstream, answer: bytes, status: int, code: str, words: str
) -> None:
    theirs.script = theirs.says(answer)
    await _own(house, theirs)

    got, body = await house.answer()

    assert (got, _error(body)["code"]) == (status, code)
    assert words in _error(body)["message"]
    assert SECRET not in body.decode()
    assert not upstream.bodies
    usage = _usage(house)
    assert (usage.outcome, usage.is_own_key, usage.cost_nano) == ("failed", True, 0)


async def test_a_refused_key_is_told_of_and_asked_no_more(house: House, theirs: Upstream) -> None:
    told: list[Refusal] = []
    house.gateway.credentials = Credentials(told.append)
    theirs.script = theirs.says(UNAUTHORIZED)
    await _own(house, theirs)

    await house.answer()
    status, body = await house.answer()

    assert [each.credential for each in told] == ["cred_own.1"]
    assert len(theirs.bodies) == 1
    assert (status, _error(body)["code"]) == (403, "permission_denied")


async def test_an_only_key_that_is_out_says_why_and_nothing_else_serves(
    house: House, upstream: Upstream, theirs: Upstream
) -> None:
    await _own(house, theirs, trouble="It is switched off.")

    status, body = await house.answer()

    assert (status, _error(body)["code"]) == (403, "permission_denied")
    assert "Your own Other key is out of service. It is switched off." in _error(body)["message"]
    assert not upstream.bodies
    assert house.holds == {}


async def test_where_credit_does_not_reach_the_own_key_serves_alone(
    house: House, upstream: Upstream, theirs: Upstream
) -> None:
    house.balance_nano = 0
    await _own(house, theirs, is_only=False)

    first, _ = await house.answer()
    theirs.script = theirs.says(BROKEN)
    second, _ = await house.answer(stream=True)

    assert (first, second) == (200, 500)
    assert not upstream.bodies
    assert [usage.cost_nano for usage in house.records(Usage)] == [0, 0]


async def test_limits_and_used_up_budgets_still_hold(house: House, theirs: Upstream) -> None:
    house.budgets = ("key_1", "day", 5)
    house.spent = Spending(datetime.now(UTC), (Spent("key_1", 5, 5, 5, 5),))
    await _own(house, theirs)

    status, body = await house.answer()

    assert (status, _error(body)["code"]) == (402, "insufficient_quota")
    assert "daily budget of this API key is used up" in _error(body)["message"]
    assert not theirs.bodies


async def test_a_process_that_dies_leaves_nothing_to_pay(house: House, theirs: Upstream) -> None:
    theirs.script = theirs.says(SSE_HEAD, event("a"), event("b"), DONE, SSE_END, pause_s=1.1)
    await _own(house, theirs, is_only=False)
    await house.answer(stream=True)

    [intent], [checkpoint] = house.records(Intent), house.records(Checkpoint)[:1]

    assert (intent.is_own_key, intent.cost_nano, checkpoint.cost_nano) == (True, 0, 0)
    # What the shipper makes of these two where nothing follows them.
    usage = interrupted(intent, checkpoint, at_ms=intent.started_at_ms)
    assert (usage.is_own_key, usage.cost_nano, usage.cost_picos) == (True, 0, 0)


async def test_among_several_models_each_is_served_by_its_own_rule(
    house: House, upstream: Upstream, theirs: Upstream
) -> None:
    theirs.script = theirs.says(UNAUTHORIZED)
    await _own(house, theirs)
    [model] = house.gateway.catalog.current.listed
    house.further = [_renamed(model)]
    await house.gateway.catalog.refresh()

    status, _ = await house.answer(models=["n"])

    usage = _usage(house)
    assert status == 200
    assert (usage.model_id, usage.is_own_key, usage.cost_nano) == ("n", False, 15)
    assert len(upstream.bodies) == 1


def _renamed(model: Model) -> Model:
    return replace(model, id="n", provider="another")


async def test_nobody_else_is_ever_served_by_it_while_catalogs_change(
    house: House, upstream: Upstream, theirs: Upstream
) -> None:
    strangers = [house.token_of(f"org_stranger{number}") for number in range(4)]
    own = await _own(house, theirs)
    is_over = False

    async def change_catalogs() -> None:
        while not is_over:
            house.own = {} if house.own else {ORGANIZATION: {"other": own}}
            await house.gateway.catalog.refresh()
            await asyncio.sleep(0)

    async def ask(token: str) -> int:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": token}]}).encode()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        reply = serve(house.gateway, Request(headers, body, Chat()))
        await reply.begun()
        return reply.status

    changing = asyncio.create_task(change_catalogs())
    for _ in range(20):
        statuses = await asyncio.gather(*map(ask, [*strangers, house.token, *strangers, house.token]))
        assert set(statuses) == {200}
    is_over = True
    await changing
    await house.settled()

    asked = [each["messages"][0]["content"] for each in theirs.bodies]
    assert set(asked) == {house.token}
    by_key = {usage.organization_id for usage in house.records(Usage) if usage.is_own_key}
    assert by_key == {ORGANIZATION}
    assert not any(SECRET.encode() in head for head in upstream.heads)
    assert len(asked) + len(upstream.bodies) == 200


async def test_a_failing_own_key_takes_no_retry_from_others(
    house: House, upstream: Upstream, theirs: Upstream
) -> None:
    theirs.script = theirs.says(BROKEN)
    await _own(house, theirs, is_only=False)
    credit = []
    for _ in range(4):
        await house.answer()
        credit.append(house.gateway.health._retry_credit)

    assert all(later >= earlier for earlier, later in pairwise(credit))
    assert len(upstream.bodies) == 4
