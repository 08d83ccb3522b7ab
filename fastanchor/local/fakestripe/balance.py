"""What the account holds: every movement of money is a balance transaction, fees among them."""

from __future__ import annotations

from typing import Any

from fastanchor.local.fakestripe.calls import Call
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.world import Obj, World

_DAY = 86_400
_CATEGORIES = {"charge": "charge", "payment": "charge", "refund": "refund", "payment_refund": "refund"}
# A dispute costs this much, whoever wins it.
DISPUTE_FEE = 1_500


def card_fee(amount: int) -> int:
    """Return what Stripe keeps of a payment: 2.9 % and 30 cents."""
    return (amount * 29 + 500) // 1_000 + 30


def book(
    world: World, source: Obj, *, kind: str, amount: int, fee: int = 0, category: str = "", **fields: Any
) -> Obj:
    """Write down a movement of money and return it."""
    money = source["currency"]
    label = "Dispute fee" if category == "dispute" else "Stripe processing fees"
    details = [
        {"amount": fee, "application": None, "currency": money, "description": label, "type": "stripe_fee"}
    ]
    return world.add(
        "balance_transaction",
        amount=amount,
        available_on=world.now() + 2 * _DAY,
        balance_type="payments",
        currency=money,
        fee=fee,
        fee_details=details if fee else [],
        net=amount - fee,
        reporting_category=category or _CATEGORIES[kind],
        source=source["id"],
        status="pending",
        type=kind,
        **fields,
    )


def list_transactions(call: Call) -> Obj:
    """Answer ``GET /v1/balance_transactions``."""
    rows = [_settled(call.world, row) for row in call.world.newest_first("balance_transaction")]
    rows = where(call, rows, "type", "source", "currency")
    if "payout" in call.params:
        # Nothing is ever paid out here.
        rows = []
    return page(call, rows, "/v1/balance_transactions")


def retrieve_transaction(call: Call) -> Obj:
    """Answer ``GET /v1/balance_transactions/{id}``."""
    return _settled(call.world, call.object_in_path("balance_transaction"))


def _settled(world: World, row: Obj) -> Obj:
    if row["available_on"] <= world.now():
        row["status"] = "available"
    return row


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/balance``."""
    sums: dict[str, dict[str, int]] = {"available": {}, "pending": {}}
    for row in call.world.newest_first("balance_transaction"):
        status = _settled(call.world, row)["status"]
        sums[status][row["currency"]] = sums[status].get(row["currency"], 0) + row["net"]
    shown = {status: _amounts(sums[status] or {"usd": 0}) for status in sums}
    return {"object": "balance", "livemode": False, **shown}


def _amounts(sums: dict[str, int]) -> list[Obj]:
    return [
        {"amount": amount, "currency": money, "source_types": {"card": amount}}
        for money, amount in sums.items()
    ]
