"""The event loop's connection: one write a turn, answers in order, and never a long wait."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import redis
from django.conf import settings

from fastanchor.lib.valkey import Script, TurnPipeline, ValkeyUnavailable
from tests.faults.proxy import FaultProxy, Faults

ECHO = Script("return {KEYS[1], ARGV[1]}")
BROKEN = Script("return redis.call('NONSENSE')")
# Longer than any machine stands still.
PATIENT_S = 10.0


@pytest_asyncio.fixture
async def pipeline() -> AsyncIterator[TurnPipeline]:
    it = TurnPipeline(settings.REDIS_URL, timeout_s=PATIENT_S)
    yield it
    await it.close()


@pytest.fixture
def relay() -> Iterator[FaultProxy]:
    """A proxy in front of the real server."""
    with FaultProxy(f"unix:{settings.REDIS_URL.removeprefix('unix://').split('?')[0]}") as it:
        yield it


@pytest_asyncio.fixture
async def relayed(relay: FaultProxy) -> AsyncIterator[TurnPipeline]:
    it = TurnPipeline(f"redis://127.0.0.1:{relay.port}", timeout_s=PATIENT_S)
    yield it
    await it.close()


@pytest_asyncio.fixture
async def hasty(relay: FaultProxy) -> AsyncIterator[TurnPipeline]:
    """A connected pipeline that waits a tenth of a second and no longer."""
    it = TurnPipeline(f"redis://127.0.0.1:{relay.port}", timeout_s=0.1)
    for _ in range(20):
        with contextlib.suppress(ValkeyUnavailable):
            await echo(it, "warm")
            break
    yield it
    await it.close()


async def echo(pipeline: TurnPipeline, word: str) -> list[bytes]:
    answer: list[bytes] = await pipeline.call(ECHO, ["key"], [word])
    return answer


async def test_many_calls_of_one_turn_are_answered_in_order(pipeline: TurnPipeline) -> None:
    answers = await asyncio.gather(*(echo(pipeline, str(number)) for number in range(500)))

    assert answers == [[b"key", str(number).encode()] for number in range(500)]


async def test_calls_of_one_turn_leave_in_one_write(relay: FaultProxy, relayed: TurnPipeline) -> None:
    await echo(relayed, "warm")
    before = relay.pieces

    await asyncio.gather(*(echo(relayed, str(number)) for number in range(20)))

    assert relay.pieces == before + 1
    assert relay.connections == 1


async def test_a_forgotten_script_is_taught_again(pipeline: TurnPipeline) -> None:
    await echo(pipeline, "a")
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.script_flush()

    answers = await asyncio.gather(*(echo(pipeline, word) for word in "abc"))

    assert [answer[1] for answer in answers] == [b"a", b"b", b"c"]


async def test_a_script_that_fails_fails_alone(pipeline: TurnPipeline) -> None:
    broken = pipeline.submit(BROKEN, [], [])
    fine = pipeline.submit(ECHO, ["key"], ["x"])

    assert await fine == [b"key", b"x"]
    with pytest.raises(ValkeyUnavailable):
        await broken


async def test_a_loop_that_was_busy_does_not_blame_the_server() -> None:
    pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=1.0)
    await echo(pipeline, "warm")
    call = pipeline.submit(ECHO, ["key"], ["x"])
    await asyncio.sleep(0)

    time.sleep(1.5)  # noqa: ASYNC251 - the loop is to stand still

    assert await call == [b"key", b"x"]
    await pipeline.close()


async def test_a_silent_server_costs_a_tenth_of_a_second_and_not_more(
    relay: FaultProxy, hasty: TurnPipeline
) -> None:
    relay.faults = Faults(is_blackhole=True)
    started = time.monotonic()

    results = await asyncio.gather(*(echo(hasty, "x") for _ in range(50)), return_exceptions=True)

    assert {type(result) for result in results} == {ValkeyUnavailable}
    assert time.monotonic() - started < 0.4


async def test_it_comes_back_by_itself(relay: FaultProxy, hasty: TurnPipeline) -> None:
    relay.faults = Faults(is_blackhole=True)
    with pytest.raises(ValkeyUnavailable):
        await echo(hasty, "lost")

    relay.heal()

    assert (await echo(hasty, "back"))[1] == b"back"


async def test_a_dropped_connection_fails_what_was_under_way_and_is_replaced(
    relay: FaultProxy, relayed: TurnPipeline
) -> None:
    await echo(relayed, "warm")
    relay.faults = Faults(is_blackhole=True)
    lost = asyncio.ensure_future(echo(relayed, "lost"))
    await asyncio.sleep(0.01)

    relay.cut()

    with pytest.raises(ValkeyUnavailable):
        await lost
    relay.heal()
    assert (await echo(relayed, "back"))[1] == b"back"


async def test_nobody_listening_is_told_quickly() -> None:
    pipeline = TurnPipeline("redis://127.0.0.1:1", timeout_s=0.1)

    with pytest.raises(ValkeyUnavailable):
        await echo(pipeline, "x")
    await pipeline.close()


async def test_the_number_of_the_database_and_the_password_are_used() -> None:
    url = settings.REDIS_URL.split("?")[0]
    other = TurnPipeline(f"{url}?db=7", timeout_s=PATIENT_S)
    write = Script("return redis.call('SET', KEYS[1], ARGV[1])")
    await other.call(write, ["fa:test:seven"], ["here"])
    await other.close()
    with redis.Redis.from_url(f"{url}?db=7") as client:
        assert client.get("fa:test:seven") == b"here"
        client.delete("fa:test:seven")

    refused = TurnPipeline(url.replace("unix://", "unix://user:wrong@"), timeout_s=PATIENT_S)
    with pytest.raises(ValkeyUnavailable):
        await echo(refused, "x")
    await refused.close()


async def test_another_server_is_noticed_and_gets_nothing_that_was_meant_for_the_one_before(
    relay: FaultProxy, relayed: TurnPipeline
) -> None:
    met: list[str] = []
    relayed.on_new_server = lambda: met.append("another")
    await echo(relayed, "warm")
    relay.cut()
    await asyncio.sleep(0.05)
    assert (await echo(relayed, "the same one"))[1] == b"the same one"
    assert not met

    relay.cut()
    await asyncio.sleep(0.05)
    relayed._server = b"one that died"

    with pytest.raises(ValkeyUnavailable):
        await echo(relayed, "meant for it")
    assert met == ["another"]
    assert (await echo(relayed, "new"))[1] == b"new"
