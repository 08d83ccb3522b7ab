"""Payouts: what the account holds goes to the bank, on its schedule or when it is asked for, and now and then comes back."""

from __future__ import annotations

from typing import Any

from fastanchor.local.fakestripe import balance
from fastanchor.local.fakestripe.calls import Call, amount_words, chargeable, currency, merged, update
from fastanchor.local.fakestripe.errors import StripeError
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.world import Obj, World

_DAY = 86_400
_BANK = "ba_of_the_account"


def create(call: Call) -> Obj:
    """Answer ``POST /v1/payouts``."""
    params = call.params
    money = currency(params["currency"])
    return _make(
        call.world,
        chargeable(params["amount"], money),
        money,
        description=call.text("description"),
        metadata=merged({}, params.get("metadata")),
        method=params.get("method", "standard"),
        statement_descriptor=call.text("statement_descriptor"),
    )


def pay_out_all(world: World, money: str = "usd") -> Obj:
    """Pay out everything that is available, as the account's schedule would."""
    settled = [row["id"] for row in _unpaid(world, money)]
    payout = _make(
        world,
        balance.available(world, money),
        money,
        automatic=True,
        metadata={},
        method="standard",
        reconciliation_status="completed",
    )
    world.hidden(payout["id"])["settles"] = [payout["balance_transaction"], *settled]
    return payout


def _make(world: World, amount: int, money: str, **fields: Any) -> Obj:
    if amount < 1 or amount > balance.available(world, money):
        message = f"{amount_words(amount, money)} cannot be paid out: that much is not available."
        raise StripeError(message, code="balance_insufficient")
    usual = {"automatic": False, "reconciliation_status": "not_applicable"}
    payout = world.add(
        "payout",
        amount=amount,
        arrival_date=world.now() + 2 * _DAY,
        currency=money,
        destination=_BANK,
        source_type="card",
        status="pending",
        type="bank_account",
        **{**usual, **fields},
    )
    payout["balance_transaction"] = _move(world, payout, "payout", -amount)
    world.emit("payout.created", payout)
    world.later(2 * _DAY, "payout_arrives", payout["id"])
    return payout


def _move(world: World, payout: Obj, kind: str, amount: int) -> str:
    category = "payout" if kind == "payout" else "payout_reversal"
    at_once: Obj = {"available_on": world.now(), "status": "available", "description": "STRIPE PAYOUT"}
    row = balance.book(world, payout, kind=kind, amount=amount, category=category, **at_once)
    return str(row["id"])


def _unpaid(world: World, money: str) -> list[Obj]:
    """Return the available movements that no payout on schedule has settled."""
    settled = {each for payout in world.newest_first("payout") for each in settles(world, payout["id"])}
    rows = [balance.settled(world, row) for row in world.newest_first("balance_transaction")]
    return [
        row
        for row in rows
        if row["status"] == "available" and row["currency"] == money and row["id"] not in settled
    ]


def settles(world: World, payout_id: str) -> list[str]:
    """Return the movements that a payout on schedule is the sum of, itself first."""
    found: list[str] = world.hidden(payout_id).get("settles", [])
    return found


def arrive(world: World, payout_id: str) -> bool:
    """Let a payout reach the bank; says whether it was under way."""
    payout = world.get("payout", payout_id)
    if payout["status"] not in {"pending", "in_transit"}:
        return False
    before, payout["status"] = payout["status"], "paid"
    payout["trace_id"] = {"status": "supported", "value": f"trace_{payout['id']}"}
    world.emit("payout.paid", payout, {"status": before})
    return True


def send(world: World, payout_id: str) -> bool:
    """Hand a payout to the bank; says whether it was pending."""
    payout = world.get("payout", payout_id)
    if payout["status"] != "pending":
        return False
    payout["status"] = "in_transit"
    world.emit("payout.updated", payout, {"status": "pending"})
    return True


def fail(world: World, payout_id: str) -> bool:
    """Let a payout come back, even one that the bank had taken; says whether it changed."""
    payout = world.get("payout", payout_id)
    if payout["status"] not in {"pending", "in_transit", "paid"}:
        return False
    payout["failure_code"], payout["failure_message"] = "account_closed", "The bank account has been closed."
    _undo(world, payout, "failed", "payout_failure")
    return True


def cancel(call: Call) -> Obj:
    """Answer ``POST /v1/payouts/{payout}/cancel``."""
    payout = call.object_in_path("payout", "payout")
    if payout["status"] != "pending" or payout["automatic"]:
        raise StripeError("Only a pending payout that was not made on schedule can be canceled.", code=None)
    _undo(call.world, payout, "canceled", "payout_cancel")
    return payout


def _undo(world: World, payout: Obj, status: str, kind: str) -> None:
    before, payout["status"] = payout["status"], status
    payout["failure_balance_transaction"] = _move(world, payout, kind, payout["amount"])
    world.emit(f"payout.{status}", payout, {"status": before})


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/payouts/{payout}``."""
    return call.object_in_path("payout", "payout")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/payouts/{payout}``."""
    payout = retrieve(call)
    previous = update(call, payout, ("metadata",))
    call.world.emit("payout.updated", payout, previous)
    return payout


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/payouts``."""
    return page(call, where(call, call.world.newest_first("payout"), "status", "destination"), "/v1/payouts")
