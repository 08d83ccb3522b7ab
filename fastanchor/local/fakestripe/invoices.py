"""Invoices: those that a paid checkout leaves behind, and one-off ones of invoice items."""

from __future__ import annotations

from fastanchor.local.fakestripe import drafting, paying, payment_intents
from fastanchor.local.fakestripe.calls import Call, currency, merged, update
from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.payment_methods import named
from fastanchor.local.fakestripe.world import Obj, World

_DAY = 86_400


def for_session(world: World, session: Obj) -> Obj:
    """Write the paid invoice of a checkout session."""
    customer = world.get("customer", session["customer"])
    told = session["invoice_creation"]["invoice_data"]
    items = world.hidden(session["id"])["line_items"]
    lines = [
        drafting.line(
            world, amount=item["amount_subtotal"], money=session["currency"], described=item["description"]
        )
        for item in items
    ]
    details = session["customer_details"]
    tax = session["total_details"]["amount_tax"]
    invoice = drafting.draft(
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
    drafting.finalize(world, invoice)
    drafting.mark_paid(world, invoice)
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
    invoice = drafting.draft(
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
    return drafting.line(
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
        drafting.finalize(call.world, invoice)
    if invoice["status"] == "paid":
        raise StripeError("Invoice is already paid")
    if invoice["status"] != "open":
        raise StripeError(f"This invoice is {invoice['status']}.", code="invoice_not_editable")
    return invoice


def finalize(call: Call) -> Obj:
    """Answer ``POST /v1/invoices/{invoice}/finalize``."""
    invoice = _draft(call, "finalize")
    drafting.finalize(call.world, invoice)
    if invoice["total"] == 0:
        drafting.mark_paid(call.world, invoice)
    return invoice


def pay(call: Call) -> Obj:
    """Answer ``POST /v1/invoices/{invoice}/pay``; raises ``StripeError`` where the card says no."""
    world, invoice = call.world, _payable(call)
    if call.params.get("paid_out_of_band"):
        drafting.mark_paid(world, invoice)
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
    drafting.mark_paid(world, invoice)
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
