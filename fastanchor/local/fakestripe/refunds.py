"""Refunds: whole or in parts, settled at once, later or not at all."""

from __future__ import annotations

from fastanchor.local.fakestripe import balance, disputes
from fastanchor.local.fakestripe.calls import Call, amount_words, merged, update
from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.payment_methods import card_of
from fastanchor.local.fakestripe.world import Obj, World

# How long a test card takes that does not settle its refunds at once.
_LATER_S = 60


def create(call: Call) -> Obj:
    """Answer ``POST /v1/refunds``."""
    world, params = call.world, call.params
    charge = _charge(call)
    amount = _amount(charge, params.get("amount"))
    _require_refundable(world, charge, amount)
    card = card_of(world, world.get("payment_method", charge["payment_method"]))
    behaviour = card.refund if card else ""
    refund = world.add(
        "refund",
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        customer=charge["customer"],
        destination_details=_destination(charge),
        metadata=merged({}, params.get("metadata")),
        payment_intent=charge["payment_intent"],
        payment_method=charge["payment_method"],
        reason=params.get("reason"),
        status="pending" if behaviour == "pending" else "succeeded",
    )
    kind = "refund" if charge["payment_method_details"]["type"] == "card" else "payment_refund"
    row = balance.book(world, refund, kind=kind, amount=-amount, description="REFUND FOR CHARGE")
    refund["balance_transaction"] = row["id"]
    _count(charge, amount)
    world.emit("charge.refunded", charge)
    world.emit("refund.created", refund)
    if charge["refunded"]:
        disputes.end_inquiries(world, charge)
    if behaviour:
        world.later(_LATER_S, {"pending": "refund_succeeds", "fail": "refund_fails"}[behaviour], refund["id"])
    return refund


def _charge(call: Call) -> Obj:
    world, params = call.world, call.params
    if given := call.text("charge"):
        return world.get("charge", given, "charge")
    if "payment_intent" not in params:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise invalid(message)
    intent = world.get("payment_intent", params["payment_intent"], "payment_intent")
    if intent["latest_charge"] is None or intent["status"] not in {
        "succeeded",
        "processing",
        "requires_capture",
    }:
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise StripeError(message)
    return world.get("charge", intent["latest_charge"])


def _amount(charge: Obj, given: int | None) -> int:
    left: int = charge["amount_captured"] - charge["amount_refunded"]
    amount = left if given is None else given
    if given is not None and given < 1:
        raise invalid(
            "This value must be greater than or equal to 1.", param="amount", code="parameter_invalid_integer"
        )
    return amount


def _require_refundable(world: World, charge: Obj, amount: int) -> None:
    if charge["status"] != "succeeded" or not charge["captured"]:
        message = (
            f"This PaymentIntent ({charge['payment_intent']}) does not have a successful charge to refund."
        )
        raise StripeError(message)
    if any(
        each["charge"] == charge["id"] and not each["is_charge_refundable"]
        for each in world.newest_first("dispute")
    ):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeError(message, code="charge_disputed")
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left <= 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeError(message, code="charge_already_refunded")
    if amount > left:
        asked, rest = (amount_words(each, charge["currency"]).partition(" ")[0] for each in (amount, left))
        message = f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})"
        raise StripeError(message, param="amount")


def _count(charge: Obj, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] >= charge["amount_captured"]


def _destination(charge: Obj) -> Obj:
    if charge["payment_method_details"]["type"] == "us_bank_account":
        return {
            "type": "us_bank_transfer",
            "us_bank_transfer": {"reference": None, "reference_status": "pending"},
        }
    card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    return {"card": card, "type": "card"}


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/refunds/{refund}``."""
    return call.object_in_path("refund", "refund")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/refunds/{refund}``."""
    refund = call.object_in_path("refund", "refund")
    previous = update(call, refund, ("metadata",))
    _tell(call.world, refund, previous)
    return refund


def _tell(world: World, refund: Obj, previous: Obj) -> None:
    world.emit("charge.refund.updated", refund, previous)
    world.emit("refund.updated", refund, previous)


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/refunds``."""
    return page(
        call, where(call, call.world.newest_first("refund"), "charge", "payment_intent"), "/v1/refunds"
    )


def succeed(world: World, refund: Obj) -> bool:
    """Let a refund arrive that was under way; says whether it was."""
    if refund["status"] != "pending":
        return False
    refund["status"] = "succeeded"
    _tell(world, refund, {"status": "pending"})
    return True


def fail(world: World, refund: Obj) -> bool:
    """Let a refund come back, even one that had succeeded; says whether it changed."""
    if refund["status"] not in {"pending", "succeeded"}:
        return False
    before = refund["status"]
    row = balance.book(
        world, refund, kind="refund_failure", amount=refund["amount"], category="refund_failure"
    )
    refund.update(
        status="failed", failure_balance_transaction=row["id"], failure_reason="lost_or_stolen_card"
    )
    charge = world.get("charge", refund["charge"])
    _count(charge, -refund["amount"])
    _tell(world, refund, {"status": before})
    world.emit("refund.failed", refund)
    return True
