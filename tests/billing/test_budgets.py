"""Budgets of keys, members and organizations are decided exactly, against a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
import redis
from django.conf import settings

from billing import holds
from billing.holds import Hold, Holds, PublishedWallet, RegisteredHold, Spending, Spent
from billing.refusals import InsufficientCredit
from fastanchor.lib.valkey import TurnPipeline
from fastanchor.lib.windows import Window
from tests.billing.test_holds import ORGANIZATION, ask, settled

SUBJECTS = ("key_a", "user_7", ORGANIZATION)
# The last second of a day, an ISO week, a month: none ends here but the day and the month of the year.
EVE = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)


class Bank:
    """Stands for PostgreSQL: a full wallet, what was spent, and the clock of everybody."""

    def __init__(self, valkey: redis.Redis) -> None:
        self.valkey = valkey
        self.version = 1
        self.at = datetime.now(UTC)
        self.spent = {subject: Spent(subject, 0, 0, 0, 0) for subject in SUBJECTS}
        self.openings = 0

    def now(self) -> float:
        return self.at.timestamp()

    async def open(self, organization_id: str) -> str:
        self.openings += 1
        epoch = holds.ensure_epoch(self.valkey)
        await asyncio.to_thread(self.publish, may_open=True)
        return epoch.name

    def publish(self, *, settled: tuple[str, ...] = (), may_open: bool = False) -> None:
        holds.publish(
            self.valkey,
            epoch=holds.ensure_epoch(self.valkey),
            wallet=PublishedWallet(ORGANIZATION, self.version, 1_000_000),
            settled=settled,
            mark=holds.begin_opening(self.valkey, ORGANIZATION) if may_open else "",
            spending=Spending(self.at, list(self.spent.values())),
        )

    def spend(
        self, day: int, *, week: int | None = None, month: int | None = None, settled: str = ""
    ) -> None:
        """Let all three have spent so much, in the periods of the present moment."""
        self.version += 1
        rest = (week or day, month or day, 10 * day)
        self.spent = {subject: Spent(subject, day, *rest) for subject in SUBJECTS}
        self.publish(settled=(settled,) if settled else ())

    def held(self) -> list[int]:
        return holds.known_held(self.valkey, ORGANIZATION, ["key_a", "user_7"])


@pytest.fixture
def bank(valkey: redis.Redis) -> Bank:
    return Bank(valkey)


@pytest_asyncio.fixture
async def book(bank: Bank) -> AsyncIterator[Holds]:
    pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=2.0)
    yield Holds(pipeline, bank.open, clock=bank.now)
    await pipeline.close()


@pytest.mark.parametrize("window", list(Window))
@pytest.mark.parametrize("subject", SUBJECTS)
async def test_a_budget_holds_against_a_crowd(bank: Bank, book: Holds, subject: str, window: Window) -> None:
    budgets = (subject, window.value, 250)

    results = await asyncio.gather(
        *(book.place(ask(n, budgets=budgets)) for n in range(20)), return_exceptions=True
    )

    refused = [result for result in results if isinstance(result, InsufficientCredit)]
    assert sum(isinstance(result, Hold) for result in results) == 2
    assert len(refused) == 18
    assert {(one.budget.subject, one.budget.window) for one in refused if one.budget} == {(subject, window)}
    assert {one.left_nano for one in refused} == {50}
    await book.place(ask(99, key_id="key_b"))


async def test_the_tightest_of_many_budgets_refuses_and_says_so(bank: Bank, book: Holds) -> None:
    bank.spend(50, week=350, month=350)
    budgets = (
        "key_a", "day", 1_000, "key_a", "lifetime", 1_000, "user_7", "week", 500, ORGANIZATION, "month", 449,
    )  # fmt: skip

    with pytest.raises(InsufficientCredit) as refusal:
        await book.place(ask(1, budgets=budgets))

    assert refusal.value.budget is not None
    assert (refusal.value.budget.subject, refusal.value.budget.window) == (ORGANIZATION, Window.MONTH)
    assert (refusal.value.left_nano, refusal.value.needed_nano) == (99, 100)
    await book.place(ask(2, budgets=budgets, output_tokens=99, least_output_tokens=99))


@pytest.mark.parametrize(
    ("window", "until", "after"),
    [
        (Window.DAY, EVE, EVE + timedelta(seconds=1)),
        (Window.WEEK, EVE + timedelta(seconds=1), datetime(2027, 1, 4, tzinfo=UTC)),
        (Window.MONTH, EVE, EVE + timedelta(seconds=1)),
    ],
)
async def test_a_budget_starts_anew_with_its_period_and_not_before(
    bank: Bank, book: Holds, window: Window, until: datetime, after: datetime
) -> None:
    bank.at = EVE
    bank.spend(250)
    budgets = (ORGANIZATION, window.value, 300)

    bank.at = until
    with pytest.raises(InsufficientCredit):
        await book.place(ask(1, budgets=budgets))
    bank.at = after

    await book.place(ask(2, budgets=budgets))
    # What runs counts at once, in the new period as in every other.
    with pytest.raises(InsufficientCredit):
        await book.place(ask(3, budgets=budgets, output_tokens=201))


async def test_all_time_never_starts_anew(bank: Bank, book: Holds) -> None:
    bank.at = EVE
    bank.spend(25)
    bank.at = EVE + timedelta(days=400)

    with pytest.raises(InsufficientCredit):
        await book.place(ask(1, budgets=("key_a", "lifetime", 300)))


async def test_what_was_spent_and_what_runs_count_once_each(bank: Bank, book: Holds) -> None:
    budgets = ("key_a", "day", 300, "user_7", "day", 300, ORGANIZATION, "day", 300)
    first = await book.place(ask(1, budgets=budgets))
    second = await book.place(ask(2, budgets=budgets))
    assert bank.held() == [200, 200]

    await settled(book, first, cost_nano=40)
    assert bank.held() == [140, 140]
    bank.spend(40, settled="req_1")
    assert bank.held() == [100, 100]

    with pytest.raises(InsufficientCredit) as refusal:
        await book.place(ask(3, budgets=budgets, output_tokens=161))
    assert refusal.value.left_nano == 160
    await settled(book, second, cost_nano=0)
    assert bank.held() == [0, 0]


async def test_a_subject_whose_spending_is_unknown_is_asked_for_before_anyone_is_admitted(
    bank: Bank, book: Holds
) -> None:
    await book.place(ask(1))
    bank.spent["user_8"] = Spent("user_8", 250, 250, 250, 250)

    with pytest.raises(InsufficientCredit):
        await book.place(ask(2, budgets=("user_8", "day", 300)))

    assert bank.openings == 2


async def test_a_stream_extends_to_the_last_nano_of_a_budget(bank: Bank, book: Holds) -> None:
    budgets = (ORGANIZATION, "week", 1_000, "user_7", "day", 949)
    stream = ask(1, mode="stream", output_tokens=600, least_output_tokens=1, budgets=budgets)
    hold = await book.place(stream)

    assert [await book.extend(hold, 300) for _ in range(3)] == [300, 49, 0]
    assert bank.held() == [949, 949]
    assert hold.amount_nano == 949


async def test_the_hold_of_a_dead_gateway_comes_back_to_the_member_too(
    bank: Bank, book: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets = ("user_7", "day", 100)
    monkeypatch.setattr(holds, "LEASE_MS", 50)
    await book.place(ask(1, budgets=budgets))
    monkeypatch.setattr(holds, "LEASE_MS", 60_000)
    await asyncio.sleep(0.1)

    await book.place(ask(2, budgets=budgets))

    assert bank.held() == [100, 100]


async def test_after_a_flush_what_runs_counts_for_the_member_again(bank: Bank, book: Holds) -> None:
    budgets = ("user_7", "day", 300)
    running = await book.place(ask(1, budgets=budgets))
    bank.valkey.flushdb()

    holds.register(
        bank.valkey,
        epoch=holds.ensure_epoch(bank.valkey),
        holds=[
            RegisteredHold(ORGANIZATION, "req_1", "key_a", 100, is_running=True, member="user_7"),
            RegisteredHold(ORGANIZATION, "req_0", "key_a", 120, is_running=False, member="user_7"),
        ],
    )

    with pytest.raises(InsufficientCredit) as refusal:
        await book.place(ask(2, budgets=budgets))
    assert refusal.value.left_nano == 80
    await settled(book, running, cost_nano=30)
    assert bank.held() == [150, 150]
