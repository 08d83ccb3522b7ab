"""One process between two stores: what it places, tells and gives back while Valkey comes and goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest
import pytest_asyncio
import redis
from django.conf import settings

from billing import periods
from billing.holds import Ask, HoldsUnavailable, RegisteredHold
from billing.refusals import InsufficientCredit, RateLimited
from billing.stand_in import SteadyHolds
from billing.store import Answer, Mode
from fastanchor.lib.valkey import TurnPipeline
from tests.billing.test_holds import Bank, ask, valkey
from tests.faults.proxy import FaultProxy, Faults

__all__ = ["valkey"]


class Store:
    """Plays PostgreSQL: one process, one wallet."""

    def __init__(self) -> None:
        self.period, self.is_degraded = 1, False
        self.is_away = False
        self.may_leave = True
        self.told: list[RegisteredHold] = []
        self.rows: dict[str, int] = {}
        self.credit = 1_000
        self.deaf: list[bool] = []

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise OSError

    async def beat(self, facts: dict[str, int | bool]) -> Mode:
        await self._answer()
        is_open = self.is_degraded and facts["period"] == self.period
        return Mode(self.period, self.is_degraded, is_open, processes=1, rank=0, seen_ago_s=0.0)

    async def enter(self, period: int) -> None:
        await self._answer()
        self.turn(period, is_degraded=True)

    async def leave(self, period: int) -> None:
        await self._answer()
        if self.may_leave:
            self.turn(period, is_degraded=False)

    def turn(self, period: int, *, is_degraded: bool) -> None:
        if period == self.period:
            self.period, self.is_degraded = period + 1, is_degraded

    async def follow(self, period: int, running: Sequence[RegisteredHold]) -> None:
        await self._answer()
        self.told += running
        self.rows |= {hold.request_id: hold.amount_nano for hold in running}

    async def place(self, period: int, asked: Ask, ended: Sequence[str]) -> Answer | None:
        await self._answer()
        if period != self.period:
            return None
        left = self.credit - sum(self.rows.values())
        if left < asked.output_tokens:
            return Answer(5, (left, asked.output_tokens, left, asked.output_tokens))
        self.rows[asked.request_id] = asked.output_tokens
        return Answer(0, (asked.output_tokens, asked.output_tokens, left - asked.output_tokens, 0))

    async def extend(self, period: int, asked: Ask, tokens: int) -> tuple[int, int] | None:
        await self._answer()
        if asked.request_id not in self.rows:
            return -1, 0
        self.rows[asked.request_id] += tokens
        return tokens, tokens

    async def release(self, request_ids: Sequence[str], ended: Sequence[str]) -> None:
        await self._answer()
        for name in request_ids:
            self.rows.pop(name, None)


@pytest.fixture
def bank(valkey: redis.Redis) -> Bank:
    return Bank(valkey)


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with FaultProxy(f"unix:{settings.REDIS_URL.removeprefix('unix://').split('?')[0]}") as it:
        yield it


@pytest.fixture
def store() -> Store:
    return Store()


@pytest_asyncio.fixture
async def book(bank: Bank, proxy: FaultProxy, store: Store) -> AsyncIterator[SteadyHolds]:
    number = settings.REDIS_URL.rpartition("db=")[2]
    pipeline = TurnPipeline(f"redis://127.0.0.1:{proxy.port}/{number or 0}", timeout_s=0.3)
    it = SteadyHolds(pipeline, bank.open, store, on_deaf=store.deaf.append)
    running = asyncio.create_task(it.periods.run())
    await it.periods.started()
    yield it
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await pipeline.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


async def test_a_request_that_meets_a_dead_valkey_is_served_by_postgresql(
    book: SteadyHolds, store: Store, proxy: FaultProxy
) -> None:
    await book.place(ask(1))
    proxy.down()

    hold = await book.place(ask(2))

    assert hold.has_row
    assert store.rows == {"req_1": 100, "req_2": 100}
    assert [one.request_id for one in store.told] == ["req_1"]
    assert book.is_degraded
    await until(lambda: store.deaf == [True])


async def test_a_moment_s_silence_is_waited_out_and_holds_once(
    book: SteadyHolds, store: Store, proxy: FaultProxy, bank: Bank
) -> None:
    await book.place(ask(1))
    await asyncio.to_thread(proxy.cut)

    hold = await book.place(ask(2))

    assert not hold.has_row
    assert bank.known() == (1_000, 200, 2)
    assert store.period == 1


async def test_an_answer_that_comes_after_the_turn_counts_for_nothing(
    book: SteadyHolds, store: Store, proxy: FaultProxy
) -> None:
    await book.place(ask(1))
    proxy.faults = Faults(latency_s=0.1)
    store.may_leave = False
    asked = asyncio.create_task(book.place(ask(2)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    store.turn(1, is_degraded=True)
    book.periods.wake()
    await until(lambda: book.periods.mode is not None and book.periods.mode.period > 1)

    hold = await asked

    assert hold.has_row
    assert "req_2" in store.rows
    assert "req_2" not in {one.request_id for one in store.told}


async def test_valkey_decides_again_once_it_answers_and_starts_from_nothing_it_remembers(
    book: SteadyHolds, store: Store, proxy: FaultProxy, bank: Bank
) -> None:
    await book.place(ask(1))
    proxy.down()
    await book.place(ask(2))
    openings = bank.openings
    proxy.heal()
    await until(lambda: not book.is_degraded)

    hold = await book.place(ask(3))

    assert not hold.has_row
    assert store.deaf == [True, False]
    assert book._epoch != ""
    assert bank.openings >= openings


async def test_a_stream_that_began_in_valkey_goes_on_by_postgresql(
    book: SteadyHolds, store: Store, proxy: FaultProxy
) -> None:
    hold = await book.place(ask(1, mode="stream"))
    proxy.down()

    assert await book.extend(hold, 50) == 50

    assert store.rows == {"req_1": 150}
    assert (hold.amount_nano, hold.output_tokens) == (150, 150)


async def test_what_costs_nothing_is_given_back_at_once_and_what_costs_with_its_settlement(
    book: SteadyHolds, store: Store, proxy: FaultProxy
) -> None:
    proxy.down()
    free, paid = await book.place(ask(1)), await book.place(ask(2))

    book.settle(free, cost_nano=0, tokens=0)
    book.settle(paid, cost_nano=10, tokens=10)

    await until(lambda: store.rows == {"req_2": 100})


async def test_refusals_are_those_of_valkey(book: SteadyHolds, store: Store, proxy: FaultProxy) -> None:
    proxy.down()
    await book.place(ask(1, requests_per_minute=3, output_tokens=700))

    with pytest.raises(InsufficientCredit) as poor:
        await book.place(ask(2, requests_per_minute=3, output_tokens=301))
    assert (poor.value.left_nano, poor.value.needed_nano) == (300, 301)
    # Who was refused for want of credit has not used up its minute.
    for number in (3, 4):
        await book.place(ask(number, requests_per_minute=3, output_tokens=1))
    with pytest.raises(RateLimited):
        await book.place(ask(5, requests_per_minute=3, output_tokens=1))


async def test_with_both_away_it_says_so_at_once(
    book: SteadyHolds, store: Store, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periods, "AWAY_S", 0.3)
    proxy.down()
    store.is_away = True
    await asyncio.sleep(1.8)
    began = time.monotonic()

    with pytest.raises(HoldsUnavailable):
        await book.place(ask(1))

    assert time.monotonic() - began < 0.3
    assert book.refused == 1


async def test_a_process_that_postgresql_has_lost_places_nothing_any_more(
    book: SteadyHolds, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await book.place(ask(1))
    store.is_away = True
    await book.place(ask(2))
    monkeypatch.setattr(periods, "LOST_S", 0.5)
    await asyncio.sleep(1.2)

    with pytest.raises(HoldsUnavailable):
        await book.place(ask(3))

    store.is_away = False
    book.periods.wake()
    await asyncio.sleep(0.2)
    await book.place(ask(4))
