"""What a gateway that died has held is its customer's again once the lease is over, whether or not they call."""

from __future__ import annotations

import asyncio

import pytest
import redis
from django.conf import settings

from accounts.models import Organization
from billing import aside, holds, opening, topups, wallets
from billing.holds import Ask, Holds, HoldsUnavailable
from fastanchor.lib.money import NANOS_PER_CENT
from fastanchor.lib.valkey import TurnPipeline
from tests.billing.test_holds import ORGANIZATION, Bank, ask, bank, book, valkey

__all__ = ["bank", "book", "valkey"]


async def place_and_die(book: Holds, asked: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Place a hold that nobody settles or renews, and let its lease pass."""
    monkeypatch.setattr(holds, "LEASE_MS", 50)
    await book.place(asked)
    monkeypatch.setattr(holds, "LEASE_MS", 60_000)
    await asyncio.sleep(0.1)


async def test_a_hold_whose_lease_is_over_is_shown_nowhere(
    bank: Bank, book: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place_and_die(book, ask(1, output_tokens=400), monkeypatch)
    await book.place(ask(2, key_id="key_b", output_tokens=100))
    await place_and_die(book, ask(3, output_tokens=300), monkeypatch)

    assert holds.known_held(bank.valkey, ORGANIZATION, ["key_a", "key_b"]) == [0, 100]
    assert holds.known_holds(bank.valkey, ORGANIZATION) == {"req_2": 100}
    assert bank.known() == (1_000, 100, 1)


@pytest.mark.parametrize("look", [holds.known_wallet, holds.known_holds])
async def test_looking_in_any_way_ends_it(
    bank: Bank, book: Holds, monkeypatch: pytest.MonkeyPatch, look: object
) -> None:
    await place_and_die(book, ask(1, output_tokens=400), monkeypatch)

    look(bank.valkey, ORGANIZATION)  # type: ignore[operator]

    keys = holds.keys_of(ORGANIZATION)
    assert bank.valkey.hgetall(keys[1]) == {}
    assert bank.valkey.zcard(keys[2]) == 0
    assert bank.valkey.hget(keys[0], "held") == b"0"


async def test_a_free_request_that_died_is_in_nobodys_way(
    bank: Bank, book: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = ask(1, input_tokens=0, output_tokens=0, least_output_tokens=0)
    await place_and_die(book, free, monkeypatch)
    assert bank.known() == (1_000, 0, 0)
    await place_and_die(book, free, monkeypatch)

    await book.place(ask(2))

    bank.publish(settled=("req_2",))
    assert bank.known() == (1_000, 0, 0)


async def test_a_free_request_that_is_settled_before_its_gateway_says_so_holds_up_nothing(
    bank: Bank, book: Holds
) -> None:
    await book.place(ask(1, input_tokens=0, output_tokens=0, least_output_tokens=0))
    await book.place(ask(2))

    bank.publish(settled=("req_1", "req_2"))

    assert bank.known() == (1_000, 0, 0)


async def test_a_dead_hold_that_has_settled_since_is_counted_once(
    bank: Bank, book: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place_and_die(book, ask(1, output_tokens=400), monkeypatch)
    bank.known()

    bank.balance_nano, bank.version = 700, 2
    bank.publish(settled=("req_1",))

    assert bank.known() == (700, 0, 0)


async def test_a_hold_whose_answer_came_too_late_is_taken_back(bank: Bank) -> None:
    pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=0.05)
    book = Holds(pipeline, bank.open)
    await book.place(ask(1))
    # Valkey is busy for some tenths of a second.
    busy = asyncio.create_task(asyncio.to_thread(bank.valkey.eval, "for i = 1, 1e8 do end", 0))
    await asyncio.sleep(0.02)
    with pytest.raises(HoldsUnavailable):
        await book.place(ask(2))
    await busy
    assert set(holds.known_holds(bank.valkey, ORGANIZATION)) == {"req_1", "req_2"}

    book.renew()

    await book.place(ask(3))
    assert set(holds.known_holds(bank.valkey, ORGANIZATION)) == {"req_1", "req_3"}
    assert bank.known() == (1_000, 200, 2)
    await pipeline.close()


def test_it_is_in_the_way_of_no_refund(lasting_organization: Organization, valkey: redis.Redis) -> None:
    topups.record_top_up(organization=lasting_organization, cents=1, key="k", actor="system")
    opening.open_organization(lasting_organization.pk)
    dead = holds.RegisteredHold(lasting_organization.pk, "req_1", "key_a", 400, is_running=True)
    holds.register(valkey, epoch=holds.ensure_epoch(valkey), holds=[dead])

    def set_all_aside() -> None:
        aside.set_aside(organization_id=lasting_organization.pk, name="ref_1", amount_nano=NANOS_PER_CENT)

    with pytest.raises(aside.NotLeft):
        set_all_aside()

    valkey.zadd(holds.keys_of(lasting_organization.pk)[2], {"req_1": 1})

    set_all_aside()
    assert wallets.balance_of(lasting_organization).held_nano == NANOS_PER_CENT
