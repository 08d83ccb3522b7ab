"""Writing invoices: drafts, their lines, and what becomes of them."""

from __future__ import annotations

from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.fakestripe.lists import listed
from fastanchor.local.fakestripe.world import Obj, World

_USUAL: Obj = {
    "account_country": "US",
    "account_name": "FastAnchor test account",
    "amount_due": 0,
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_paid_off_stripe": 0,
    "amount_remaining": 0,
    "amount_shipping": 0,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": False,
    "billing_reason": "manual",
    "collection_method": "charge_automatically",
    "customer_tax_exempt": "none",
    "default_tax_rates": [],
    "discounts": [],
    "issuer": {"type": "self"},
    "metadata": {},
    "payment_settings": {
        "default_mandate": None,
        "payment_method_options": None,
        "payment_method_types": None,
    },
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "starting_balance": 0,
    "status": "draft",
    "subtotal": 0,
    "total": 0,
    "total_discount_amounts": [],
    "total_pretax_credit_amounts": [],
    "total_taxes": [],
}


def draft(world: World, customer: Obj, lines: list[Obj], **fields: Any) -> Obj:
    """Make a draft."""
    subtotal = sum(each["amount"] for each in lines)
    now = world.now()
    tax_ids = [
        {"type": each["type"], "value": each["value"]}
        for each in world.newest_first("tax_id")
        if each["customer"] == customer["id"]
    ]
    moments = ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")
    described: Obj = {
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_ids": tax_ids,
        "period_end": now,
        "period_start": now,
        "status_transitions": dict.fromkeys(moments),
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": subtotal,
        "total_excluding_tax": subtotal,
    }
    invoice = world.add("invoice", **{**_USUAL, **described, **fields})
    for each in lines:
        each["invoice"] = invoice["id"]
    invoice["lines"] = listed(lines, f"/v1/invoices/{invoice['id']}/lines")
    invoice["amount_due"] = invoice["amount_remaining"] = invoice["total"]
    return invoice


def line(world: World, *, amount: int, money: str, described: str | None, parent: Obj | None = None) -> Obj:
    """Return a line of an invoice."""
    made = world.add(
        "line_item",
        amount=amount,
        currency=money,
        description=described,
        discount_amounts=[],
        discountable=True,
        discounts=[],
        metadata={},
        parent=parent,
        period={"end": world.now(), "start": world.now()},
        pretax_credit_amounts=[],
        quantity=1,
        quantity_decimal="1",
        subtotal=amount,
        taxes=[],
    )
    return world.table("line_item").pop(made["id"])


def finalize(world: World, invoice: Obj) -> None:
    """Give an invoice its number and its pages."""
    customer = world.get("customer", invoice["customer"])
    sequence = customer.get("next_invoice_sequence", 1)
    customer["next_invoice_sequence"] = sequence + 1
    invoice["number"] = f"{customer.get('invoice_prefix')}-{sequence:04d}"
    invoice["status"], invoice["effective_at"] = "open", world.now()
    invoice["status_transitions"]["finalized_at"] = world.now()
    secret = random_base62(40)
    invoice["hosted_invoice_url"] = f"{world.base_url}/i/{invoice['id']}/{secret}"
    invoice["invoice_pdf"] = f"{world.base_url}/i/{invoice['id']}/{secret}/pdf"
    if invoice["collection_method"] == "charge_automatically":
        invoice["attempted"] = invoice["total"] == 0
    world.emit("invoice.finalized", invoice)
    world.emit("invoice.updated", invoice, {"status": "draft"})


def mark_paid(world: World, invoice: Obj) -> None:
    """Note that an invoice was paid."""
    invoice.update(
        status="paid", amount_paid=invoice["total"], amount_remaining=0, attempted=True, auto_advance=False
    )
    invoice["attempt_count"] += 1
    invoice["status_transitions"]["paid_at"] = world.now()
    world.emit("invoice.updated", invoice, {"status": "open"})
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)
