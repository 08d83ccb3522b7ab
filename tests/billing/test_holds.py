"""Holds are decided exactly, against a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import redis
from django.conf import settings

from billing import holds
from billing.holds import (
    Ask,
    Holds,
    HoldsUnavailable,
    PublishedWallet,
    RegisteredHold,
    Spending,
)
from billing.refusals import InsufficientCredit, RateLimited
from fastanchor.lib.valkey import TurnPipeline

ORGANIZATION = "org_test"
# 1,000 pico-USD a token is 1 nano-USD a token: holds in these tests are easy to count.
RATE = 1_000


def ask(number: int = 1, **changes: Any) -> Ask:
    plain = Ask(
        request_id=f"req_{number}",
        organization_id=ORGANIZATION,
        key_id="key_a",
        requests_per_minute=1_000_000,
        tokens_per_minute=1_000_000_000,
        key_requests_per_minute=0,
        key_tokens_per_minute=0,
        concurrency=10_000,
        budgets=(),
        input_tokens=10,
        input_cost_picos=0,
        output_rate_picos=RATE,
        output_tokens=100,
        least_output_tokens=100,
        mode="explicit",
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.fixture
def valkey() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        yield client


class Bank:
    """Stands for PostgreSQL: one wallet whose truth the test sets."""

    def __init__(self, valkey: redis.Redis) -> None:
        self.valkey = valkey
        self.balance_nano = 1_000
        self.version = 1
        self.openings = 0

    async def open(self, organization_id: str) -> str:
        self.openings += 1
        epoch = holds.ensure_epoch(self.valkey)
        await asyncio.to_thread(self.publish, may_open=True, epoch=epoch)
        return epoch.name

    def publish(
        self, *, settled: tuple[str, ...] = (), may_open: bool = False, epoch: holds.Epoch | None = None,
        spending: Spending | None = None,
    ) -> None:  # fmt: skip
        holds.publish(
            self.valkey,
            epoch=epoch or holds.ensure_epoch(self.valkey),
            wallet=PublishedWallet(ORGANIZATION, self.version, self.balance_nano),
            settled=settled,
            mark=holds.begin_opening(self.valkey, ORGANIZATION) if may_open else "",
            spending=spending,
        )

    def known(self) -> tuple[int, int, int]:
        wallet = holds.known_wallet(self.valkey, ORGANIZATION)
        assert wallet is not None
        return wallet.balance_nano, wallet.held_nano, wallet.running


@pytest.fixture
def bank(valkey: redis.Redis) -> Bank:
    return Bank(valkey)


@pytest_asyncio.fixture
async def book(bank: Bank) -> AsyncIterator[Holds]:
    pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=2.0)
    yield Holds(pipeline, bank.open)
    await pipeline.close()


async def settled(book: Holds, hold: holds.Hold, *, cost_nano: int, tokens: int = 10) -> None:
    book.settle(hold, cost_nano=cost_nano, tokens=tokens)
    # The next call of this connection pool runs after it.
    await asyncio.sleep(0.05)


async def test_a_racing_crowd_is_admitted_exactly_as_far_as_the_money_goes(bank: Bank, book: Holds) -> None:
    results = await asyncio.gather(*(book.place(ask(n)) for n in range(200)), return_exceptions=True)

    admitted = [result for result in results if isinstance(result, holds.Hold)]
    refused = [result for result in results if isinstance(result, InsufficientCredit)]
    assert (len(admitted), len(refused)) == (10, 190)
    assert bank.known() == (1_000, 1_000, 10)
    assert bank.openings == 1


async def test_a_refusal_names_what_is_left_and_what_is_needed(bank: Bank, book: Holds) -> None:
    await book.place(ask(1, output_tokens=700))

    with pytest.raises(InsufficientCredit) as refusal:
        await book.place(ask(2, output_tokens=301))

    assert (refusal.value.left_nano, refusal.value.needed_nano) == (300, 301)
    assert (refusal.value.affordable_tokens, refusal.value.asked_tokens) == (300, 301)
    assert refusal.value.budget is None


async def test_a_settled_hold_becomes_its_cost_and_then_part_of_the_balance(bank: Bank, book: Holds) -> None:
    hold = await book.place(ask(1, output_tokens=900))

    await settled(book, hold, cost_nano=40)
    assert bank.known() == (1_000, 40, 0)

    bank.balance_nano, bank.version = 960, 2
    bank.publish(settled=("req_1",))
    assert bank.known() == (960, 0, 0)


async def test_a_free_call_gives_its_hold_back_at_once(bank: Bank, book: Holds) -> None:
    hold = await book.place(ask(1, output_tokens=900))

    await settled(book, hold, cost_nano=0)

    assert bank.known() == (1_000, 0, 0)
    assert holds.known_holds(bank.valkey, ORGANIZATION) == {}


async def test_publishing_before_the_gateway_settled_counts_the_cost_once(bank: Bank, book: Holds) -> None:
    hold = await book.place(ask(1, output_tokens=900))

    bank.balance_nano, bank.version = 960, 2
    bank.publish(settled=("req_1",))
    bank.publish(settled=("req_1",))
    await settled(book, hold, cost_nano=40)

    assert bank.known() == (960, 0, 0)


async def test_an_older_balance_never_replaces_a_newer_one(bank: Bank, book: Holds) -> None:
    await book.place(ask(1))
    bank.balance_nano, bank.version = 5_000, 7
    bank.publish()

    bank.balance_nano, bank.version = 4_000, 6
    bank.publish()

    assert bank.known()[0] == 5_000


async def test_a_stream_holds_what_it_can_afford_and_extends_to_the_last_nano(
    bank: Bank, book: Holds
) -> None:
    stream = ask(1, mode="stream", output_tokens=600, least_output_tokens=1, input_cost_picos=50_500)

    hold = await book.place(stream)
    assert (hold.amount_nano, hold.output_tokens) == (651, 600)

    assert await book.extend(hold, 300) == 300
    assert await book.extend(hold, 300) == 49
    assert await book.extend(hold, 300) == 0
    assert bank.known() == (1_000, 1_000, 1)
    assert (hold.amount_nano, hold.output_tokens) == (1_000, 949)


async def test_a_whole_answer_holds_half_of_what_is_available(bank: Bank, book: Holds) -> None:
    whole = ask(1, mode="whole", output_tokens=100_000, least_output_tokens=256)

    first = await book.place(whole)
    second = await book.place(msgspec.structs.replace(whole, request_id="req_2"))

    assert (first.output_tokens, second.output_tokens) == (500, 256)
    with pytest.raises(InsufficientCredit):
        await book.place(msgspec.structs.replace(whole, request_id="req_3"))


async def test_the_sixth_request_of_a_minute_is_refused_with_the_time_to_wait(
    bank: Bank, book: Holds
) -> None:
    results = await asyncio.gather(
        *(book.place(ask(n, requests_per_minute=5, output_tokens=1)) for n in range(8)),
        return_exceptions=True,
    )

    refused = [result for result in results if isinstance(result, RateLimited)]
    admitted = [result for result in results if isinstance(result, holds.Hold)]
    assert (len(admitted), len(refused)) == (5, 3)
    assert sorted(hold.limits.requests.remaining for hold in admitted) == [0, 1, 2, 3, 4]
    assert refused[0].dimension == "requests"
    assert 11_000 < refused[0].retry_after_ms <= 12_000
    assert refused[0].limits.requests.limit == 5
    assert refused[0].limits.requests.remaining == 0


async def test_tokens_beyond_the_minute_are_refused_and_a_settled_call_teaches_the_real_number(
    bank: Bank, book: Holds
) -> None:
    first = await book.place(ask(1, tokens_per_minute=1_000, input_tokens=100, output_tokens=1))
    assert first.limits.tokens.remaining == 900

    await settled(book, first, cost_nano=0, tokens=850)

    with pytest.raises(RateLimited) as refusal:
        await book.place(ask(2, tokens_per_minute=1_000, input_tokens=200, output_tokens=1))
    assert refusal.value.dimension == "tokens"
    admitted = await book.place(ask(3, tokens_per_minute=1_000, input_tokens=100, output_tokens=1))
    assert admitted.limits.tokens.remaining < 60


async def test_a_key_with_limits_of_its_own_shows_the_tighter_one(bank: Bank, book: Holds) -> None:
    hold = await book.place(ask(1, key_requests_per_minute=2, key_tokens_per_minute=50, output_tokens=1))

    assert (hold.limits.requests.limit, hold.limits.requests.remaining) == (2, 1)
    assert (hold.limits.tokens.limit, hold.limits.tokens.remaining) == (50, 40)
    await book.place(ask(2, key_requests_per_minute=2, output_tokens=1))
    with pytest.raises(RateLimited):
        await book.place(ask(3, key_requests_per_minute=2, output_tokens=1))
    await book.place(ask(4, key_id="key_b", output_tokens=1))


async def test_running_requests_are_counted_and_freed(bank: Bank, book: Holds) -> None:
    first = await book.place(ask(1, concurrency=2, output_tokens=1))
    await book.place(ask(2, concurrency=2, output_tokens=1))

    with pytest.raises(RateLimited) as refusal:
        await book.place(ask(3, concurrency=2, output_tokens=1))
    assert refusal.value.dimension == "concurrency"

    await settled(book, first, cost_nano=1)
    await book.place(ask(4, concurrency=2, output_tokens=1))


async def test_the_hold_of_a_dead_gateway_comes_back_with_its_lease(
    bank: Bank, book: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "LEASE_MS", 50)
    await book.place(ask(1, output_tokens=1_000))
    monkeypatch.setattr(holds, "LEASE_MS", 60_000)
    await asyncio.sleep(0.1)

    await book.place(ask(2, output_tokens=1_000))

    assert bank.known() == (1_000, 1_000, 1)


async def test_a_renewed_lease_keeps_a_running_hold(
    bank: Bank, book: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "LEASE_MS", 200)
    await book.place(ask(1, output_tokens=1_000))
    monkeypatch.setattr(holds, "LEASE_MS", 60_000)
    book.renew()
    await asyncio.sleep(0.3)

    with pytest.raises(InsufficientCredit):
        await book.place(ask(2, output_tokens=1))


async def test_after_a_flush_registered_holds_count_before_anyone_is_admitted(
    bank: Bank, book: Holds
) -> None:
    running = await book.place(ask(1, output_tokens=600))
    bank.valkey.flushdb()
    epoch = holds.ensure_epoch(bank.valkey)

    for _ in range(2):
        holds.register(
            bank.valkey,
            epoch=epoch,
            holds=[
                RegisteredHold(ORGANIZATION, "req_1", "key_a", 600, is_running=True),
                RegisteredHold(ORGANIZATION, "req_0", "key_a", 100, is_running=False),
            ],
        )

    with pytest.raises(InsufficientCredit):
        await book.place(ask(2, output_tokens=301))
    await book.place(ask(3, output_tokens=300))
    await settled(book, running, cost_nano=500)
    assert bank.known() == (1_000, 900, 1)


async def test_a_flush_starts_a_new_epoch_and_old_settlements_do_no_harm(bank: Bank, book: Holds) -> None:
    running = await book.place(ask(1, output_tokens=600))
    before = holds.ensure_epoch(bank.valkey)

    bank.valkey.flushdb()
    await settled(book, running, cost_nano=500)

    assert holds.ensure_epoch(bank.valkey).name != before.name
    await book.place(ask(2, output_tokens=1_000))
    assert bank.known() == (1_000, 1_000, 1)


async def test_without_valkey_nothing_is_admitted(bank: Bank) -> None:
    pipeline = TurnPipeline("unix:///nonexistent/valkey.sock")
    book = Holds(pipeline, bank.open)

    with pytest.raises(HoldsUnavailable):
        await book.place(ask(1))
    await pipeline.close()


async def test_scripts_are_taught_again_after_the_server_forgot_them(bank: Bank, book: Holds) -> None:
    await book.place(ask(1))
    bank.valkey.script_flush()

    await book.place(ask(2))

    assert bank.known()[1] == 200


async def test_large_numbers_stay_exact(bank: Bank, book: Holds) -> None:
    # $9 million and a hold that is odd in its last nano.
    bank.balance_nano = 9_000_000_000_000_001
    hold = await book.place(ask(1, output_tokens=3, output_rate_picos=333_333_333_333))

    assert hold.amount_nano == 1_000_000_000
    assert bank.known() == (9_000_000_000_000_001, 1_000_000_000, 1)
