"""Which channel a request tries first: by priority and weight, by how it did, by session, by plan; and what it tells."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from billing.spool import Usage
from catalog.snapshot import Channel, Route
from catalog.verdicts import Refusal
from gateway import choice
from gateway.call import Request
from gateway.credentials import Credentials
from gateway.formats.base import Format
from gateway.formats.chat import Chat
from gateway.formats.messages import Messages
from gateway.formats.responses import Responses
from gateway.health import FAILURES_TO_OPEN, LAST_RESORT_S, OPEN_S, Health
from tests.gateway.attempts import ask
from tests.gateway.clock import Clock
from tests.gateway.house import ORGANIZATION, House, Upstream, completion, whole

BROKEN = whole(b'{"error":{"message":"no"}}', "503 Service Unavailable")
REFUSED = whole(b'{"error":{"message":"bad key"}}', "401 Unauthorized")
SAID: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def route(name: str, **fields: Any) -> Route:
    channel = Channel(
        id=name, name=name, provider="openai", adapter="openai", base_url="https://x.example/v1", api_key="",
        weight=1, priority=1, allow_private=False,
    )  # fmt: skip
    return Route(channel=replace(channel, **fields), upstream_model="m")


@pytest.fixture
def clock(house: House) -> Clock:
    """Put a clock and seeded chance into the house."""
    clock = Clock()
    house.gateway.health = Health(clock)
    house.gateway.chance = random.Random(7)
    return clock


async def order(
    house: House, *routes: Route, headers: dict[str, str] | None = None, **said: Any
) -> list[str]:
    caller = await house._caller([])
    request = Request(headers or {}, b"", Chat())
    asked = ask(Chat(), SAID | said)
    return [
        each.channel.id
        for each in choice.in_order(house.gateway, routes, caller=caller, request=request, asked=asked)
    ]


async def firsts(house: House, *routes: Route, times: int = 2_000) -> Counter[str]:
    return Counter([(await order(house, *routes))[0] for _ in range(times)])


# The order.


async def test_a_lower_priority_number_always_comes_first(house: House, clock: Clock) -> None:
    routes = (route("spare", priority=9, weight=1000), route("main"), route("second", priority=2))

    for _ in range(50):
        assert await order(house, *routes) == ["main", "second", "spare"]


async def test_among_equals_the_first_is_drawn_by_weight(house: House, clock: Clock) -> None:
    drawn = await firsts(house, route("heavy", weight=3), route("light"))

    assert 0.70 < drawn["heavy"] / 2_000 < 0.80


async def test_a_weight_of_zero_is_only_the_last_resort(house: House, clock: Clock) -> None:
    assert set(await firsts(house, route("never", weight=0), route("always"), times=500)) == {"always"}


async def test_a_slow_channel_is_chosen_less_and_a_failing_one_rarely_but_never_not(
    house: House, clock: Clock
) -> None:
    for _ in range(50):
        house.gateway.health.succeeded("fast", seconds=0.2)
        house.gateway.health.succeeded("slow", seconds=0.6)
        house.gateway.health.paces.failed("failing")

    drawn = await firsts(house, route("fast"), route("slow"), route("failing"))

    assert 0.2 < drawn["slow"] / drawn["fast"] < 0.47
    assert 0.02 < drawn["failing"] / drawn["fast"] < 0.1


async def test_health_never_moves_a_channel_past_a_better_priority(house: House, clock: Clock) -> None:
    for _ in range(50):
        house.gateway.health.paces.failed("main")

    assert await order(house, route("main"), route("spare", priority=2)) == ["main", "spare"]


async def test_a_dedicated_channel_is_its_organization_s_alone_and_comes_first(
    house: House, clock: Clock
) -> None:
    ours, theirs = (
        route("ours", dedicated_to=ORGANIZATION, priority=50),
        route("theirs", dedicated_to="org_2"),
    )

    assert await order(house, route("shared"), ours, theirs) == ["ours", "shared"]
    assert await order(house, theirs) == []


# Sessions.


@pytest.mark.parametrize(
    ("format_", "said", "headers"),
    [
        (Chat(), {"prompt_cache_key": "s1"}, {}),
        (Chat(), {}, {"x-session-id": "s1"}),
        (Chat(), {}, {"session_id": "s1"}),
        (Messages(), {"max_tokens": 5, "metadata": {"user_id": "s1"}}, {}),
        (Responses(), {"prompt_cache_key": "s1"}, {}),
    ],
)
def test_a_session_is_known_by_what_clients_say_of_it(
    format_: Format, said: dict[str, Any], headers: dict[str, str]
) -> None:
    body = {"model": "m", "input": "hi"} if isinstance(format_, Responses) else SAID
    assert choice.session_of(Request(headers, b"", format_), ask(format_, body | said)) == "s1"


async def test_a_session_stays_with_its_channel_and_sessions_spread_by_weight(
    house: House, clock: Clock
) -> None:
    routes = (route("heavy", weight=3), route("light"))
    places = {}
    for number in range(400):
        seen = {(await order(house, *routes, prompt_cache_key=f"s{number}"))[0] for _ in range(3)}
        assert len(seen) == 1
        places[number] = seen.pop()

    assert 0.66 < Counter(places.values())["heavy"] / 400 < 0.84


async def test_only_the_sessions_of_a_channel_that_goes_away_move(house: House, clock: Clock) -> None:
    three = (route("a"), route("b"), route("c"))
    for number in range(100):
        before = (await order(house, *three, prompt_cache_key=f"s{number}"))[0]
        after = (await order(house, *three[:2], prompt_cache_key=f"s{number}"))[0]
        assert before in (after, "c")


async def test_a_session_leaves_a_channel_that_is_out_and_comes_back(house: House, clock: Clock) -> None:
    routes = (route("a"), route("b"))
    home, other = await order(house, *routes, prompt_cache_key="s")
    for _ in range(FAILURES_TO_OPEN):
        house.gateway.health.failed(home)
    assert await order(house, *routes, prompt_cache_key="s") == [other, home]

    clock.now += OPEN_S * 10
    assert await order(house, *routes, prompt_cache_key="s") == [home, other]


async def test_a_session_never_keeps_a_request_from_another_channel(
    house: House, upstream: Upstream, second: Upstream
) -> None:
    house.special = {"chan_2": {"priority": 1}}
    await house.gateway.catalog.refresh()
    upstream.script = upstream.says(BROKEN)
    second.script = second.says(whole(completion()))

    assert {(await house.answer(prompt_cache_key=f"s{n}"))[0] for n in range(8)} == {200}


# Limits.


async def test_a_channel_at_its_limit_is_passed_over_not_failed(
    house: House, upstream: Upstream, second: Upstream
) -> None:
    house.special = {"chan_1": {"requests_per_minute": 2}}
    house.priority = 20
    await house.gateway.catalog.refresh()

    assert [(await house.answer())[0] for _ in range(5)] == [200] * 5

    assert (len(upstream.bodies), len(second.bodies)) == (2, 3)
    assert house.gateway.health.paces.of("chan_1").errors == 0.0


async def test_when_all_channels_are_at_their_limit_the_caller_is_told_when_to_try_again(
    house: House, upstream: Upstream
) -> None:
    house.special = {"chan_1": {"requests_per_minute": 1}}
    await house.gateway.catalog.refresh()
    await house.answer()

    reply = house.ask()
    await reply.begun()
    await house.settled()

    headers = dict(reply.headers)
    assert reply.status == 503
    assert 1 <= int(headers["retry-after"]) <= 60
    assert "x-should-retry" not in headers
    assert list(house.holds.values()) == [15], "only what the first one cost"
    assert house.records(Usage)[-1].error_code == "service_unavailable"
    assert len(upstream.bodies) == 1


@pytest.mark.parametrize("ending", ["served", "refused", "broken"])
async def test_a_place_at_a_channel_is_given_back_however_a_request_ends(
    house: House, upstream: Upstream, ending: str
) -> None:
    house.special = {"chan_1": {"concurrency": 2}}
    await house.gateway.catalog.refresh()
    refused = whole(b'{"error":{"message":"bad"}}', "400 Bad Request")
    upstream.script = upstream.says(
        {"served": whole(completion()), "refused": refused, "broken": BROKEN}[ending]
    )

    for _ in range(4):
        await house.answer()

    assert house.gateway.limits.running("chan_1") == 0


async def test_free_makes_room_for_those_who_pay(house: House, upstream: Upstream) -> None:
    house.special = {"chan_1": {"concurrency": 5}}
    await house.gateway.catalog.refresh()
    upstream.script = upstream.says(b"", whole(completion()), pause_s=0.5)
    free = [house.ask() for _ in range(5)]
    await asyncio.sleep(0.2)
    paying = replace(await house._caller([]), priority=10)

    caller_priority, channel = paying.priority, house.gateway.catalog.current.models["m"].routes[0].channel
    has_room = house.gateway.limits.lack(channel, priority=caller_priority) is None
    for each in free:
        await each.begun()
    await house.settled()

    assert has_room
    assert sorted(each.status for each in free) == [200, 200, 200, 200, 503]


async def test_when_all_channels_are_out_one_request_finds_out_whether_they_work_again(
    house: House, upstream: Upstream, clock: Clock
) -> None:
    for _ in range(FAILURES_TO_OPEN):
        house.gateway.health.failed("chan_1")
    clock.now += LAST_RESORT_S

    upstream.script = upstream.says(b"", whole(completion()), pause_s=0.2)
    crowd = await asyncio.gather(*(house.answer() for _ in range(5)))

    assert sorted(status for status, _ in crowd) == [200, 503, 503, 503, 503]
    assert len(upstream.bodies) == 1
    assert (await house.answer())[0] == 200


# Credentials.


async def test_credentials_of_a_channel_take_turns(house: House, upstream: Upstream) -> None:
    house.spare_keys = ("sk-spare",)
    await house.gateway.catalog.refresh()

    for _ in range(4):
        await house.answer()

    assert Counter(b"sk-spare" in head for head in upstream.heads) == {True: 2, False: 2}


@pytest.mark.parametrize("status", ["401 Unauthorized", "402 Payment Required"])
async def test_a_refused_credential_goes_out_alone_and_is_told_of_once(
    house: House, upstream: Upstream, status: str
) -> None:
    told: list[Refusal] = []
    house.gateway.credentials = Credentials(told.append)
    house.spare_keys = ("sk-spare",)
    await house.gateway.catalog.refresh()

    async def takes_spare(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_spare = b"sk-spare" in upstream.heads[-1]
        writer.write(whole(completion()) if is_spare else whole(b"{}", status))

    upstream.script = takes_spare
    statuses = [(await house.answer())[0] for _ in range(6)]

    assert statuses == [200] * 6
    assert sum(b"sk-spare" not in head for head in upstream.heads) == 1
    assert told == [Refusal("cred_chan_1_1.1", f"The provider refused it: status {status[:3]}.")]


async def test_when_the_last_credential_is_refused_the_channel_is_out(
    house: House, upstream: Upstream
) -> None:
    house.spare_keys = ("sk-spare",)
    await house.gateway.catalog.refresh()
    upstream.script = upstream.says(REFUSED)

    statuses = [(await house.answer())[0] for _ in range(4)]

    assert statuses == [503] * 4
    assert len(upstream.heads) == 2


async def test_a_credential_that_was_put_back_is_used_at_once(house: House, upstream: Upstream) -> None:
    upstream.script = upstream.says(REFUSED)
    await house.answer()
    upstream.script = upstream.says(whole(completion()))
    assert (await house.answer())[0] == 503

    house.special = {"chan_1": {"credential": "cred_chan_1_1.2"}}
    await house.gateway.catalog.refresh()

    assert (await house.answer())[0] == 200


# What is told of it.


async def test_a_request_served_at_once_tells_nothing_of_the_choice(house: House, second: Upstream) -> None:
    await house.answer()

    (usage,) = house.records(Usage)
    assert usage.considered == ()


async def test_a_failed_attempt_tells_what_there_was_to_choose_from(
    house: House, upstream: Upstream, second: Upstream
) -> None:
    house.special = {"chan_2": {"concurrency": 7}}
    await house.gateway.catalog.refresh()
    upstream.script = upstream.says(BROKEN)

    await house.answer()

    (usage,) = house.records(Usage)
    first, other = usage.considered
    assert (first.channel_id, first.priority, first.state) == ("chan_1", 1, "ready")
    assert first.score < other.score == 1_000
    assert (other.channel_id, other.priority, other.state, other.running) == ("chan_2", 2, "ready", 0)


async def test_channels_that_were_passed_over_say_why_and_for_how_long(
    house: House, upstream: Upstream, second: Upstream
) -> None:
    third = Upstream()
    third.port = second.port
    house.others.append(third)
    house.special = {"chan_2": {"requests_per_minute": 1}}
    await house.gateway.catalog.refresh()
    for _ in range(FAILURES_TO_OPEN):
        house.gateway.health.failed("chan_1")

    await house.answer()
    await house.answer()

    considered = {each.channel_id: each for each in house.records(Usage)[-1].considered}
    assert considered["chan_1"].state == "paused"
    assert 0 < considered["chan_1"].wait_s <= OPEN_S
    assert considered["chan_2"].state == "requests"
    assert 0 < considered["chan_2"].wait_s <= 120
    assert considered["chan_3"].state == "ready"
    assert house.records(Usage)[-1].channel_id == "chan_3"
