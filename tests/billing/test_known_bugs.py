"""Bugs that others have had in admission, planted here: for each of them a test of ours must fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
from django.conf import settings

from accounts.models import Organization
from billing import holds, settlement, wallets
from billing.holds import Ask, Hold, Holds
from billing.refusals import InsufficientCredit, Limits, Minute
from billing.spool import Usage
from fastanchor.lib.valkey import TurnPipeline
from tests.billing import test_holds
from tests.billing.cast import make_organization, usage
from tests.billing.test_holds import ORGANIZATION, Bank, ask, settled

Patch = pytest.MonkeyPatch
Test = Callable[[Bank, Holds], Awaitable[None]]


@asynccontextmanager
async def admission() -> AsyncIterator[tuple[Bank, Holds]]:
    """Give a wallet of 1,000 nano-USD in an empty Valkey, and a gateway's side of it."""
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.flushdb()
        bank = Bank(valkey)
        pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=2.0)
        yield bank, Holds(pipeline, bank.open)
        await pipeline.close()


async def a_cost_above_its_hold_counts_at_once(bank: Bank, book: Holds) -> None:
    """What came out dearer than its hold is missing from what others may hold, before PostgreSQL has it."""
    dear = await book.place(ask(1, output_tokens=100))
    await book.place(ask(2, output_tokens=100))

    await settled(book, dear, cost_nano=850)

    assert bank.known() == (1_000, 950, 1)
    with pytest.raises(InsufficientCredit):
        await book.place(ask(3, output_tokens=51))
    await book.place(ask(4, output_tokens=50))


async def a_stream_longer_than_its_lease_keeps_its_hold(bank: Bank, book: Holds) -> None:
    """Renewed again and again, as the gateway does, it is never taken for dead."""
    with Patch.context() as patch:
        patch.setattr(holds, "LEASE_MS", 400)
        stream = await book.place(ask(1, output_tokens=1_000))
        for _ in range(6):
            await asyncio.sleep(0.15)
            book.renew()
            with pytest.raises(InsufficientCredit):
                await book.place(ask(2, output_tokens=1))
    await settled(book, stream, cost_nano=900)
    assert bank.known() == (1_000, 900, 0)


TESTS: tuple[Test, ...] = (
    a_cost_above_its_hold_counts_at_once,
    a_stream_longer_than_its_lease_keeps_its_hold,
)


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
async def test_a_hold_is_neither_lost_nor_too_small(test: Test) -> None:
    async with admission() as (bank, book):
        await test(bank, book)


def reads_and_then_spends(patch: Patch) -> None:
    """As in litellm #26672, sub2api #3384 and others: a crowd reads the same balance, and each spends it."""
    honest = Holds.place

    async def place(book: Holds, wanted: Ask) -> Hold:
        with redis.Redis.from_url(settings.REDIS_URL) as valkey:
            known = holds.known_wallet(valkey, ORGANIZATION)
            await asyncio.sleep(0.05)
            if known is None or known.balance_nano - known.held_nano < wanted.output_tokens:
                return await honest(book, wanted)
            valkey.hincrby(holds.keys_of(ORGANIZATION)[0], "held", wanted.output_tokens)
        limits = Limits(Minute(0, 0, 0), Minute(0, 0, 0))
        return Hold(wanted, wanted.output_tokens, wanted.output_tokens, 0, limits)

    patch.setattr(Holds, "place", place)


def sweeps_what_is_old(patch: Patch) -> None:
    """As in routstr #682: a stream longer than the lease is swept, and others spend what it will cost."""
    patch.setattr(Holds, "renew", lambda book: None)


def charges_no_more_than_was_held(patch: Patch) -> None:
    """As in routstr #682: what a request costs beyond its hold is spent from what others hold."""
    honest = Holds.settle

    def settle(book: Holds, hold: Hold, *, cost_nano: int, tokens: int) -> None:
        honest(book, hold, cost_nano=min(cost_nano, hold.amount_nano), tokens=tokens)

    patch.setattr(Holds, "settle", settle)


async def a_crowd(bank: Bank, book: Holds) -> None:
    """Open the wallet first, and count that opening as the crowd's own."""
    await bank.open(ORGANIZATION)
    bank.openings = 0
    await test_holds.test_a_racing_crowd_is_admitted_exactly_as_far_as_the_money_goes(bank, book)


BUGS: tuple[tuple[Callable[[Patch], None], Test, str], ...] = (
    (reads_and_then_spends, a_crowd, r"\(200, 0\) == \(10, 190\)"),
    (sweeps_what_is_old, a_stream_longer_than_its_lease_keeps_its_hold, "DID NOT RAISE"),
    (charges_no_more_than_was_held, a_cost_above_its_hold_counts_at_once, r"\(1000, 200, 1\)"),
)


@pytest.mark.parametrize(("plant", "test", "match"), BUGS, ids=lambda part: getattr(part, "__name__", None))
async def test_the_bugs_of_others_would_be_seen(
    monkeypatch: Patch, plant: Callable[[Patch], None], test: Test, match: str
) -> None:
    plant(monkeypatch)

    async with admission() as (bank, book):
        with pytest.raises((AssertionError, pytest.fail.Exception), match=match):
            await test(bank, book)


def a_request_whose_hold_is_gone_is_charged(organization: Organization) -> None:
    """Whatever has become of its hold, what a request has cost is taken from the balance."""
    settlement.settle_batch([usage(organization, cost_nano=900, cost_picos=900_000, hold_nano=1_000)])

    assert wallets.of(organization).balance_nano == -900


def charges_only_what_is_held(patch: Patch) -> None:
    """As in routstr #682: a stream whose hold was swept ends, and nobody pays for it."""
    honest = settlement.settle_batch

    def settle_batch(usages: Sequence[Usage], **more: Any) -> list[settlement.Settlement]:
        with redis.Redis.from_url(settings.REDIS_URL) as valkey:
            held = [
                each for each in usages if each.request_id in holds.known_holds(valkey, each.organization_id)
            ]
        return honest(held, **more)

    patch.setattr(settlement, "settle_batch", settle_batch)


def test_a_swept_stream_that_ends_uncharged_would_be_seen(
    organization: Organization, monkeypatch: Patch
) -> None:
    a_request_whose_hold_is_gone_is_charged(organization)
    charges_only_what_is_held(monkeypatch)

    with pytest.raises(AssertionError, match="0 == -900"):
        a_request_whose_hold_is_gone_is_charged(make_organization("bob@example.org"))
