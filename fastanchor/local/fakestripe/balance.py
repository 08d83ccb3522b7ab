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
    usual: Obj = {"available_on": world.now() + 2 * _DAY, "status": "pending"}
    return world.add(
        "balance_transaction",
        amount=amount,
        balance_type="payments",
        currency=money,
        fee=fee,
        fee_details=details if fee else [],
        net=amount - fee,
        reporting_category=category or _CATEGORIES[kind],
        source=source["id"],
        type=kind,
        **{**usual, **fields},
    )


def list_transactions(call: Call) -> Obj:
    """Answer ``GET /v1/balance_transactions``."""
    rows = [settled(call.world, row) for row in call.world.newest_first("balance_transaction")]
    rows = where(call, rows, "type", "source", "currency")
    if "payout" in call.params:
        # Of a payout that was asked for nobody can say which movements it is the sum of.
        paid_out = call.world.hidden(call.params["payout"]).get("settles", [])
        rows = [row for row in rows if row["id"] in paid_out]
    return page(call, rows, "/v1/balance_transactions")


def retrieve_transaction(call: Call) -> Obj:
    """Answer ``GET /v1/balance_transactions/{id}``."""
    return settled(call.world, call.object_in_path("balance_transaction"))


def settled(world: World, row: Obj) -> Obj:
    """Return a movement, available once its time has come."""
    if row["available_on"] <= world.now():
        row["status"] = "available"
    return row


def available(world: World, money: str) -> int:
    """Return what of a currency can be paid out."""
    return _sums(world)["available"].get(money, 0)


def happen(world: World, *, kind: str, amount: int, fee: int = 0, money: str = "usd") -> Obj:
    """Write down a movement that no object stands behind, such as Stripe's own prices."""
    nobody = {"id": None, "currency": money}
    at_once: Obj = {"available_on": world.now(), "status": "available"}
    return book(world, nobody, kind=kind, amount=amount, fee=fee, category=kind, **at_once)


def _sums(world: World) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = {"available": {}, "pending": {}}
    for row in world.newest_first("balance_transaction"):
        status = settled(world, row)["status"]
        sums[status][row["currency"]] = sums[status].get(row["currency"], 0) + row["net"]
    return sums


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/balance``."""
    sums = _sums(call.world)
    shown = {status: _amounts(sums[status] or {"usd": 0}) for status in sums}
    return {"object": "balance", "livemode": False, **shown}


def _amounts(sums: dict[str, int]) -> list[Obj]:
    return [
        {"amount": amount, "currency": money, "source_types": {"card": amount}}
        for money, amount in sums.items()
    ]
