"""Money on its way to the bank: asked for or on schedule, arriving, called back, or refused by the bank."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.fakestripe.buying import charge_now, kinds_of
from tests.fakestripe.running import RunningStripe

_DAY = 86_400
# Its payments are available at once: 10,000 cents bring 9,680.
AT_ONCE = "pm_card_bypassPending"


def available(client: stripe.StripeClient) -> int:
    return sum(each.amount for each in client.v1.balance.retrieve().available)


def moved(client: stripe.StripeClient) -> list[tuple[str, int]]:
    rows = client.v1.balance_transactions.list({"limit": 100}).data
    return [(row.type, row.amount) for row in rows if row.type != "charge"]


def test_a_payout_leaves_the_balance_at_once_and_arrives_later(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    charge_now(client, AT_ONCE, cents=10_000)
    payout = client.v1.payouts.create({"amount": 4_000, "currency": "usd"})
    left = available(client)

    fake.order("clock", {"advance_s": 2 * _DAY + 1})
    arrived = client.v1.payouts.retrieve(payout.id, {"expand": ["balance_transaction"]})

    booked: Any = arrived.balance_transaction
    assert (payout.status, left, arrived.status) == ("pending", 5_680, "paid")
    assert (booked.type, booked.amount, booked.fee, booked.source) == ("payout", -4_000, 0, payout.id)
    assert [kind for kind in kinds_of(client) if kind.startswith("payout")] == [
        "payout.created",
        "payout.paid",
    ]


def test_no_more_is_paid_out_than_is_available(client: stripe.StripeClient) -> None:
    charge_now(client, cents=10_000)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payouts.create({"amount": 1_000, "currency": "usd"})

    assert refused.value.code == "balance_insufficient"
    assert moved(client) == []


def test_a_payout_may_come_back_even_after_it_had_arrived(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    charge_now(client, AT_ONCE, cents=10_000)
    payout = client.v1.payouts.create({"amount": 4_000, "currency": "usd"})
    states = [
        fake.order(f"payouts/{payout.id}", {"status": state}) for state in ("in_transit", "paid", "failed")
    ]

    failed = client.v1.payouts.retrieve(payout.id, {"expand": ["failure_balance_transaction"]})

    back: Any = failed.failure_balance_transaction
    assert states == [{"changed": True}] * 3
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert (back.type, back.amount, available(client)) == ("payout_failure", 4_000, 9_680)
    assert fake.order(f"payouts/{payout.id}", {"status": "failed"}) == {"changed": False}


def test_a_pending_payout_can_be_called_back_and_only_then(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    charge_now(client, AT_ONCE, cents=10_000)
    first, second = (client.v1.payouts.create({"amount": 1_000, "currency": "usd"}) for _ in range(2))
    fake.order(f"payouts/{second.id}", {"status": "in_transit"})

    canceled = client.v1.payouts.cancel(first.id)
    with pytest.raises(stripe.InvalidRequestError, match="pending"):
        client.v1.payouts.cancel(second.id)

    assert canceled.status == "canceled"
    assert moved(client) == [("payout_cancel", 1_000), ("payout", -1_000), ("payout", -1_000)]
    assert [each.id for each in client.v1.payouts.list({"status": "canceled"}).data] == [first.id]


def test_the_schedule_pays_out_all_and_tells_of_what_it_is_the_sum(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    charge_now(client, AT_ONCE, cents=10_000)
    fake.order("movements", {"type": "stripe_fee", "amount": -80})
    first = fake.order("payouts")
    charge_now(client, AT_ONCE, cents=2_000)
    second = fake.order("payouts")

    told = [
        {row.type: row.net for row in client.v1.balance_transactions.list({"payout": payout["id"]}).data}
        for payout in (first, second)
    ]

    assert (first["amount"], first["automatic"], available(client)) == (9_600, True, 0)
    assert told == [
        {"charge": 9_680, "stripe_fee": -80, "payout": -9_600},
        {"charge": 1_912, "payout": -1_912},
    ]
