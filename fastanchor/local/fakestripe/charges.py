"""Charges: one attempt to take money, how it went, and what is left of it."""

from __future__ import annotations

from typing import Any

from fastanchor.local.fakestripe import balance
from fastanchor.local.fakestripe.calls import Call, update
from fastanchor.local.fakestripe.cards import Decline
from fastanchor.local.fakestripe.lists import listed, page, search as found, where
from fastanchor.local.fakestripe.payment_methods import card_of
from fastanchor.local.fakestripe.world import Obj, World

_STATEMENT = "FASTANCHOR"


def make(world: World, intent: Obj, method: Obj, *, decline: Decline | None = None) -> Obj:
    """Try to take the money of an intent; without ``decline`` it succeeds, though it may yet be pending."""
    is_pending = decline is None and "settles" in world.hidden(method["id"])
    is_captured = decline is None and intent["capture_method"] != "manual"
    charge = world.add(
        "charge",
        amount=intent["amount"],
        amount_captured=intent["amount"] if is_captured else 0,
        amount_refunded=0,
        billing_details=method["billing_details"],
        calculated_statement_descriptor=_STATEMENT,
        captured=is_captured,
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        failure_code=decline.code if decline else None,
        failure_message=decline.message if decline else None,
        fraud_details={},
        metadata=dict(intent["metadata"]),
        outcome=_outcome(decline),
        paid=decline is None and not is_pending,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=_details(method),
        radar_options={},
        receipt_email=intent["receipt_email"],
        refunded=False,
        shipping=intent["shipping"],
        statement_descriptor=intent["statement_descriptor"],
        statement_descriptor_suffix=intent["statement_descriptor_suffix"],
        status="failed" if decline else "pending" if is_pending else "succeeded",
        transfer_group=intent["transfer_group"],
    )
    del charge["refunds"]
    charge["receipt_url"] = None if decline else f"{world.base_url}/receipts/{charge['id']}"
    intent["latest_charge"] = charge["id"]
    if is_captured and not is_pending:
        earn(world, charge)
    world.emit(f"charge.{charge['status']}", charge)
    return charge


def earn(world: World, charge: Obj) -> None:
    """Book what a charge brings, its fee taken off."""
    card = card_of(world, world.get("payment_method", charge["payment_method"]))
    is_available = card is not None and card.is_available_at_once
    at_once: Obj = {"available_on": world.now(), "status": "available"} if is_available else {}
    row = balance.book(
        world,
        charge,
        kind="charge" if charge["payment_method_details"]["type"] == "card" else "payment",
        amount=charge["amount_captured"],
        fee=balance.card_fee(charge["amount_captured"]),
        description=charge["description"],
        **at_once,
    )
    charge["balance_transaction"] = row["id"]


def _outcome(decline: Decline | None) -> Obj:
    usual: Obj = {
        "advice_code": decline.advice if decline else None,
        "network_advice_code": None,
        "network_decline_code": "01" if decline else None,
        "risk_level": "normal",
        "risk_score": 12,
    }
    if decline is None:
        told = {
            "network_status": "approved_by_network",
            "reason": None,
            "seller_message": "Payment complete.",
        }
        return {**usual, **told, "type": "authorized"}
    told = {
        "network_status": "declined_by_network",
        "reason": decline.decline_code,
        "seller_message": "The bank did not return any further details with this decline.",
    }
    return {**usual, **told, "type": "issuer_declined"}


def _details(method: Obj) -> Obj:
    kind = method["type"]
    shown: Any
    if kind == "card":
        shown = _card_details(method["card"])
    elif kind == "us_bank_account":
        names: tuple[str, ...] = (
            "account_holder_type",
            "account_type",
            "bank_name",
            "fingerprint",
            "last4",
            "routing_number",
        )
        shown = {**{name: method[kind][name] for name in names}, "payment_reference": None}
    else:
        names = ("bank_code", "branch_code", "country", "fingerprint", "last4")
        shown = {**{name: method[kind][name] for name in names}, "mandate": None}
    return {"type": kind, kind: shown}


def _card_details(card: Obj) -> Obj:
    names = (
        "brand",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "regulated_status",
    )
    unknown = (
        "amount_authorized",
        "authorization_code",
        "installments",
        "mandate",
        "network_token",
        "network_transaction_id",
        "three_d_secure",
        "transaction_link_id",
        "wallet",
    )
    checks = {**card["checks"], "cvc_check": card["checks"]["cvc_check"] and "pass"}
    return {
        **{name: card[name] for name in names},
        **dict.fromkeys(unknown),
        "checks": checks,
        "network": card["brand"],
    }


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/charges``."""
    rows = where(call, call.world.newest_first("charge"), "customer", "payment_intent", "transfer_group")
    return page(call, rows, "/v1/charges")


def search(call: Call) -> Obj:
    """Answer ``GET /v1/charges/search``."""
    return found(call, call.world.newest_first("charge"), "/v1/charges/search")


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/charges/{charge}``."""
    return call.object_in_path("charge", "charge")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/charges/{charge}``."""
    charge = call.object_in_path("charge", "charge")
    previous = update(call, charge, ("description", "metadata", "receipt_email"))
    call.world.emit("charge.updated", charge, previous)
    return charge


def refunds_of(world: World, charge: Obj) -> list[Obj]:
    """Return a charge's refunds, newest first."""
    return [each for each in world.newest_first("refund") if each["charge"] == charge["id"]]


def list_refunds(call: Call) -> Obj:
    """Answer ``GET /v1/charges/{charge}/refunds``."""
    charge = call.object_in_path("charge", "charge")
    return page(call, refunds_of(call.world, charge), f"/v1/charges/{charge['id']}/refunds")


def expanded_refunds(world: World, charge: Obj) -> Obj:
    """Return the list that ``expand[]=refunds`` shows."""
    return listed(refunds_of(world, charge), f"/v1/charges/{charge['id']}/refunds")
