"""Invoices: those that a paid checkout leaves behind, and one-off ones of invoice items."""

from __future__ import annotations

from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.fakestripe import paying, payment_intents
from fastanchor.local.fakestripe.calls import Call, currency, merged, update
from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.lists import listed, page, where
from fastanchor.local.fakestripe.payment_methods import named
from fastanchor.local.fakestripe.world import Obj, World

_DAY = 86_400
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


def _make(world: World, customer: Obj, lines: list[Obj], **fields: Any) -> Obj:
    """Make a draft."""
    subtotal = sum(line["amount"] for line in lines)
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
    for line in lines:
        line["invoice"] = invoice["id"]
    invoice["lines"] = listed(lines, f"/v1/invoices/{invoice['id']}/lines")
    invoice["amount_due"] = invoice["amount_remaining"] = invoice["total"]
    return invoice


def _line(world: World, *, amount: int, money: str, described: str | None, parent: Obj | None = None) -> Obj:
    line = world.add(
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
    return world.table("line_item").pop(line["id"])


def for_session(world: World, session: Obj) -> Obj:
    """Write the paid invoice of a checkout session."""
    customer = world.get("customer", session["customer"])
    told = session["invoice_creation"]["invoice_data"]
    items = world.hidden(session["id"])["line_items"]
    lines = [
        _line(world, amount=item["amount_subtotal"], money=session["currency"], described=item["description"])
        for item in items
    ]
    details = session["customer_details"]
    tax = session["total_details"]["amount_tax"]
    invoice = _make(
        world,
        customer,
        lines,
        currency=session["currency"],
        custom_fields=told["custom_fields"],
        customer_address=details["address"],
        customer_email=details["email"],
        customer_name=details["name"],
        customer_tax_ids=details["tax_ids"],
        description=told["description"],
        footer=told["footer"],
        metadata=told["metadata"],
        total=session["amount_total"],
        total_taxes=[_tax(tax, session["amount_subtotal"])] if tax else [],
    )
    world.emit("invoice.created", invoice)
    _finalize(world, invoice)
    _pay(world, invoice)
    return invoice


def _tax(amount: int, taxable: int) -> Obj:
    return {
        "amount": amount,
        "tax_behavior": "exclusive",
        "tax_rate_details": None,
        "taxability_reason": "standard_rated",
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    }


def _finalize(world: World, invoice: Obj) -> None:
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


def _pay(world: World, invoice: Obj) -> None:
    invoice.update(
        status="paid", amount_paid=invoice["total"], amount_remaining=0, attempted=True, auto_advance=False
    )
    invoice["attempt_count"] += 1
    invoice["status_transitions"]["paid_at"] = world.now()
    world.emit("invoice.updated", invoice, {"status": "open"})
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)


def create(call: Call) -> Obj:
    """Answer ``POST /v1/invoices``: takes up the customer's pending items where it is told to."""
    world, params = call.world, call.params
    if "customer" not in params:
        raise invalid("Missing required param: customer.", param="customer", code="parameter_missing")
    customer = world.alive("customer", params["customer"], "customer")
    method = params.get("collection_method", "charge_automatically")
    items = _pending(world, customer) if params.get("pending_invoice_items_behavior") == "include" else []
    lines = [_line_of_item(world, item) for item in items]
    due = params.get("due_date")
    if due is None and "days_until_due" in params:
        due = world.now() + params["days_until_due"] * _DAY
    invoice = _make(
        world,
        customer,
        lines,
        auto_advance=params.get("auto_advance", False),
        collection_method=method,
        currency=currency(params.get("currency") or (items[0]["currency"] if items else "usd")),
        description=call.text("description"),
        due_date=due,
        footer=call.text("footer"),
        metadata=merged({}, params.get("metadata")),
    )
    for item in items:
        item["invoice"] = invoice["id"]
    world.emit("invoice.created", invoice)
    return invoice


def _pending(world: World, customer: Obj) -> list[Obj]:
    items = [each for each in world.newest_first("invoiceitem") if each["customer"] == customer["id"]]
    return [each for each in reversed(items) if each["invoice"] is None]


def _line_of_item(world: World, item: Obj) -> Obj:
    details = {
        "invoice_item": item["id"],
        "proration": False,
        "proration_details": None,
        "subscription": None,
    }
    parent = {
        "invoice_item_details": details,
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }
    return _line(
        world, amount=item["amount"], money=item["currency"], described=item["description"], parent=parent
    )


def _draft(call: Call, verb: str) -> Obj:
    invoice = retrieve(call)
    if invoice["status"] != "draft":
        message = f"You cannot {verb} an invoice that is {invoice['status']}; it must be a draft."
        raise StripeError(message, code="invoice_not_editable")
    return invoice


def _payable(call: Call) -> Obj:
    """Return an invoice that is open; a draft is finalized first."""
    invoice = retrieve(call)
    if invoice["status"] == "draft":
        _finalize(call.world, invoice)
    if invoice["status"] == "paid":
        raise StripeError("Invoice is already paid")
    if invoice["status"] != "open":
        raise StripeError(f"This invoice is {invoice['status']}.", code="invoice_not_editable")
    return invoice


def finalize(call: Call) -> Obj:
    """Answer ``POST /v1/invoices/{invoice}/finalize``."""
    invoice = _draft(call, "finalize")
    _finalize(call.world, invoice)
    if invoice["total"] == 0:
        _pay(call.world, invoice)
    return invoice


def pay(call: Call) -> Obj:
    """Answer ``POST /v1/invoices/{invoice}/pay``; raises ``StripeError`` where the card says no."""
    world, invoice = call.world, _payable(call)
    if call.params.get("paid_out_of_band"):
        _pay(world, invoice)
        return invoice
    customer = world.get("customer", invoice["customer"])
    given = call.text("payment_method") or (customer.get("invoice_settings") or {}).get(
        "default_payment_method"
    )
    if given is None:
        message = (
            "There is no `default_payment_method` set on this Customer or Invoice. Please set either field prior to "
            "attempting payment."
        )
        raise StripeError(message, code="resource_missing")
    method = named(world, given, "payment_method")
    intent = payment_intents.make(
        world,
        amount=invoice["total"],
        currency=invoice["currency"],
        customer=customer["id"],
        description=f"Payment for Invoice {invoice['number']}",
        payment_method=method["id"],
        payment_method_types=["card"],
    )
    try:
        paying.confirm(world, intent, {"off_session": True})
    except StripeError as exc:
        _note_failure(world, invoice, exc)
        raise
    _pay(world, invoice)
    return invoice


def _note_failure(world: World, invoice: Obj, error: StripeError) -> None:
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    world.emit("invoice.updated", invoice, {"attempted": False})
    world.emit("invoice.payment_failed", invoice)
    if error.fields.get("code") == "authentication_required":
        world.emit("invoice.payment_action_required", invoice)


def send(call: Call) -> Obj:
    """Answer ``POST /v1/invoices/{invoice}/send``."""
    invoice = _payable(call)
    call.world.emit("invoice.sent", invoice)
    return invoice


def void(call: Call) -> Obj:
    """Answer ``POST /v1/invoices/{invoice}/void``."""
    return _close(call, "void", "voided_at", "invoice.voided")


def mark_uncollectible(call: Call) -> Obj:
    """Answer ``POST /v1/invoices/{invoice}/mark_uncollectible``."""
    return _close(call, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")


def _close(call: Call, status: str, moment: str, event: str) -> Obj:
    invoice = retrieve(call)
    if invoice["status"] not in {"open", "uncollectible"}:
        raise StripeError(f"You can only do this to an open invoice; this one is {invoice['status']}.")
    before, invoice["status"] = invoice["status"], status
    invoice["status_transitions"][moment] = call.world.now()
    call.world.emit("invoice.updated", invoice, {"status": before})
    call.world.emit(event, invoice)
    return invoice


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/invoices/{invoice}``."""
    return call.object_in_path("invoice", "invoice")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/invoices/{invoice}``."""
    invoice = retrieve(call)
    previous = update(call, invoice, ("auto_advance", "description", "footer", "metadata"))
    call.world.emit("invoice.updated", invoice, previous)
    return invoice


def delete(call: Call) -> Obj:
    """Answer ``DELETE /v1/invoices/{invoice}``."""
    invoice = _draft(call, "delete")
    call.world.emit("invoice.deleted", invoice)
    return call.world.bury(invoice)


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/invoices``."""
    rows = where(call, call.world.newest_first("invoice"), "customer", "status", "collection_method")
    return page(call, rows, "/v1/invoices")


def list_lines(call: Call) -> Obj:
    """Answer ``GET /v1/invoices/{invoice}/lines``."""
    invoice = retrieve(call)
    return page(call, invoice["lines"]["data"], invoice["lines"]["url"])


def create_item(call: Call) -> Obj:
    """Answer ``POST /v1/invoiceitems``."""
    world, params = call.world, call.params
    customer = world.alive("customer", params.get("customer") or "", "customer")
    amount = params.get("amount", 0)
    item = world.add(
        "invoiceitem",
        amount=amount,
        currency=currency(params.get("currency") or "usd"),
        customer=customer["id"],
        date=world.now(),
        description=call.text("description"),
        discountable=True,
        discounts=[],
        metadata=merged({}, params.get("metadata")),
        net_amount=amount,
        period={"end": world.now(), "start": world.now()},
        proration=False,
        quantity=1,
        quantity_decimal="1",
        tax_rates=[],
    )
    world.emit("invoiceitem.created", item)
    return item


def retrieve_item(call: Call) -> Obj:
    """Answer ``GET /v1/invoiceitems/{invoiceitem}``."""
    return call.object_in_path("invoiceitem", "invoiceitem")


def delete_item(call: Call) -> Obj:
    """Answer ``DELETE /v1/invoiceitems/{invoiceitem}``."""
    item = retrieve_item(call)
    call.world.emit("invoiceitem.deleted", item)
    return call.world.bury(item)
