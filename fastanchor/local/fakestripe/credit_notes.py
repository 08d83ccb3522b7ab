"""Credit notes: an invoice made smaller after it was written."""

from __future__ import annotations

from typing import Any

from fastanchor.local.fakestripe.calls import Call, merged, update
from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.lists import listed, page, where
from fastanchor.local.fakestripe.world import Obj, World


def create(call: Call) -> Obj:
    """Answer ``POST /v1/credit_notes``."""
    world, params = call.world, call.params
    invoice = world.get("invoice", params["invoice"], "invoice")
    if invoice["status"] not in {"open", "paid"}:
        raise StripeError("Credit notes can be written for open and paid invoices only.")
    lines = [_line(world, each) for each in params.get("lines") or []]
    amount = sum(line["amount"] for line in lines) or params.get("amount", 0)
    if not 0 < amount <= invoice["total"]:
        raise invalid("The credit note's amount must be within the invoice's total.", param="amount")
    is_paid = invoice["status"] == "paid"
    note = world.add("credit_note", **_fields(world, invoice, amount, is_paid=is_paid))
    note["memo"], note["reason"] = call.text("memo"), params.get("reason")
    note["metadata"] = merged({}, params.get("metadata"))
    note["lines"] = listed(lines, f"/v1/credit_notes/{note['id']}/lines")
    note["pdf"] = f"{world.base_url}/i/{invoice['id']}/{note['id']}/pdf"
    _shrink(invoice, amount, is_paid=is_paid)
    world.emit("credit_note.created", note)
    return note


def _fields(world: World, invoice: Obj, amount: int, *, is_paid: bool) -> Obj:
    written = sum(1 for each in world.newest_first("credit_note") if each["invoice"] == invoice["id"])
    return {
        "amount": amount,
        "amount_shipping": 0,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "discount_amount": 0,
        "discount_amounts": [],
        "invoice": invoice["id"],
        "number": f"{invoice['number']}-CN-{written + 1:02d}",
        "post_payment_amount": amount if is_paid else 0,
        "pre_payment_amount": 0 if is_paid else amount,
        "pretax_credit_amounts": [],
        "refunds": [],
        "status": "issued",
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
        "total": amount,
        "total_excluding_tax": amount,
        "total_taxes": [],
        "type": "post_payment" if is_paid else "pre_payment",
    }


def _line(world: World, given: Any) -> Obj:
    unit, quantity = given.get("unit_amount"), given.get("quantity", 1)
    amount = given.get("amount") or (unit or 0) * quantity
    return {
        "id": world.new_id("credit_note_line_item"),
        "object": "credit_note_line_item",
        "amount": amount,
        "description": given.get("description"),
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": quantity,
        "tax_rates": [],
        "taxes": [],
        "type": given["type"],
        "unit_amount": unit,
        "unit_amount_decimal": None if unit is None else str(unit),
    }


def _shrink(invoice: Obj, amount: int, *, is_paid: bool) -> None:
    if is_paid:
        invoice["post_payment_credit_notes_amount"] += amount
        return
    invoice["pre_payment_credit_notes_amount"] += amount
    invoice["amount_due"] -= amount
    invoice["amount_remaining"] -= amount


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/credit_notes/{id}``."""
    return call.object_in_path("credit_note")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/credit_notes/{id}``."""
    note = retrieve(call)
    previous = update(call, note, ("memo", "metadata"))
    call.world.emit("credit_note.updated", note, previous)
    return note


def void(call: Call) -> Obj:
    """Answer ``POST /v1/credit_notes/{id}/void``."""
    note = retrieve(call)
    if note["status"] == "void":
        raise StripeError("This credit note is void already.")
    note["status"], note["voided_at"] = "void", call.world.now()
    invoice = call.world.get("invoice", note["invoice"])
    _shrink(invoice, -note["amount"], is_paid=note["type"] == "post_payment")
    call.world.emit("credit_note.voided", note)
    return note


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/credit_notes``."""
    rows = where(call, call.world.newest_first("credit_note"), "customer", "invoice")
    return page(call, rows, "/v1/credit_notes")
