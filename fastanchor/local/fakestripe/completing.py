"""Paying a checkout session: what the hosted page and the CLI do with a card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastanchor.local.fakestripe import invoices, paying, payment_intents, setup_intents, taxes
from fastanchor.local.fakestripe.calls import merged, shipping
from fastanchor.local.fakestripe.customers import add_tax_id, make, tax_ids_of
from fastanchor.local.fakestripe.errors import StripeError
from fastanchor.local.fakestripe.paying import needs_customer
from fastanchor.local.fakestripe.payment_methods import card_of
from fastanchor.local.fakestripe.world import Obj, World


@dataclass(frozen=True, slots=True)
class Buyer:
    """What a customer writes into the page."""

    email: str | None = None
    name: str | None = None
    address: Obj = field(default_factory=dict)
    tax_id: str | None = None
    business: str | None = None

    @property
    def tax_ids(self) -> list[Obj]:
        """Return the tax id with its kind, as a list."""
        kind = taxes.TAX_ID_KINDS.get(self.address.get("country") or "")
        return [{"type": kind, "value": self.tax_id}] if kind and self.tax_id else []


def total_of(world: World, session: Obj, buyer: Buyer) -> tuple[int, int]:
    """Return what the customer has to pay and how much of it is tax."""
    subtotal: int = session["amount_subtotal"] or 0
    if not session["automatic_tax"]["enabled"]:
        return subtotal, 0
    rate = taxes.rate_of(buyer.address.get("country"), is_business=bool(buyer.tax_ids))
    tax = sum(
        taxes.tax_on(item["amount_subtotal"], rate) for item in world.hidden(session["id"])["line_items"]
    )
    return subtotal + tax, tax


def submit(world: World, session: Obj, method: Obj, buyer: Buyer) -> None:
    """Pay a session, or ask the customer's bank first; raises ``StripeError``."""
    if session["status"] != "open":
        message = "This Checkout Session is no longer active: it has been completed or has expired."
        raise StripeError(message)
    if session["customer"]:
        world.alive("customer", session["customer"], "customer")
    if session["mode"] == "setup":
        _set_up(world, session, method, buyer)
        return
    _apply_tax(world, session, buyer)
    intent = _intent_of(world, session, buyer)
    intent["payment_method"] = method["id"]
    world.hidden(intent["id"])["session"] = session["id"]
    _remember(world, session, buyer)
    if needs_customer(world, card_of(world, method), method, is_off_session=False):
        back = f"{world.base_url}/c/pay/{session['id']}"
        paying.confirm(world, intent, {"return_url": back})
    else:
        paying.pay(world, intent, method)
        complete(world, session)


def _set_up(world: World, session: Obj, method: Obj, buyer: Buyer) -> None:
    customer = _customer_of(world, session, buyer, is_needed=True)
    intent = world.get("setup_intent", session["setup_intent"])
    intent["customer"], intent["payment_method"] = customer, method["id"]
    world.hidden(intent["id"])["session"] = session["id"]
    _remember(world, session, buyer)
    card = card_of(world, method)
    if card is not None and card.authentication in {"always", "unless_set_up"}:
        setup_intents.ask_customer(world, intent, f"{world.base_url}/c/pay/{session['id']}")
    else:
        setup_intents.finish(world, intent, method)
        complete(world, session)


def _apply_tax(world: World, session: Obj, buyer: Buyer) -> None:
    session["amount_total"], tax = total_of(world, session, buyer)
    session["total_details"] = {**session["total_details"], "amount_tax": tax}
    if not session["automatic_tax"]["enabled"]:
        return
    session["automatic_tax"]["status"] = "complete"
    country = buyer.address.get("country") or "US"
    rate = taxes.rate_of(country, is_business=bool(buyer.tax_ids))
    for item in world.hidden(session["id"])["line_items"]:
        item["amount_tax"] = taxes.tax_on(item["amount_subtotal"], rate)
        item["amount_total"] = item["amount_subtotal"] + item["amount_tax"]


def _intent_of(world: World, session: Obj, buyer: Buyer) -> Obj:
    """Return the session's payment intent; it is made with the first try."""
    told: Any = world.hidden(session["id"])["payment"]
    has_invoice = session["invoice_creation"]["enabled"]
    is_needed = (
        bool(told.get("setup_future_usage")) or has_invoice or session["customer_creation"] == "always"
    )
    customer = _customer_of(world, session, buyer, is_needed=is_needed)
    if session["payment_intent"]:
        intent = world.get("payment_intent", session["payment_intent"])
        intent["amount"], intent["customer"] = session["amount_total"], customer
        return intent
    intent = payment_intents.make(
        world,
        amount=session["amount_total"],
        capture_method=told.get("capture_method", "automatic_async"),
        currency=session["currency"],
        customer=customer,
        description=told.get("description"),
        metadata=merged({}, told.get("metadata")),
        payment_method_types=session["payment_method_types"],
        receipt_email=told.get("receipt_email"),
        setup_future_usage=told.get("setup_future_usage"),
        shipping=shipping(told.get("shipping")),
        statement_descriptor=told.get("statement_descriptor"),
        statement_descriptor_suffix=told.get("statement_descriptor_suffix"),
        transfer_group=told.get("transfer_group"),
    )
    session["payment_intent"] = intent["id"]
    return intent


def _customer_of(world: World, session: Obj, buyer: Buyer, *, is_needed: bool) -> str | None:
    if session["customer"] is None and is_needed:
        customer = make(
            world, address=buyer.address or None, email=buyer.email, name=buyer.name, tax_exempt="none"
        )
        session["customer"] = customer["id"]
    known: str | None = session["customer"]
    return known


def _remember(world: World, session: Obj, buyer: Buyer) -> None:
    """Keep what the customer wrote, for when the payment is through."""
    known: Obj = world.table("customer").get(session["customer"] or "", {})
    session["customer_details"] = {
        "address": buyer.address or None,
        "business_name": None,
        "email": buyer.email or session["customer_email"] or known.get("email"),
        "individual_name": None,
        # As on Stripe's page, whoever buys as a business is called by its name.
        "name": buyer.business if buyer.tax_ids and buyer.business else buyer.name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": buyer.tax_ids,
    }


def complete(world: World, session: Obj) -> None:
    """Close a session whose payment is through or under way."""
    session["status"], session["url"] = "complete", None
    if session["mode"] == "payment":
        intent = world.get("payment_intent", session["payment_intent"])
        session["payment_status"] = (
            "paid" if intent["status"] in {"succeeded", "requires_capture"} else "unpaid"
        )
    _update_customer(world, session)
    if session["payment_status"] == "paid":
        _write_invoice(world, session)
    world.emit("checkout.session.completed", session)


def _update_customer(world: World, session: Obj) -> None:
    # Nobody pays for a deleted customer, but a payment may outlive one.
    customer = world.table("customer").get(session["customer"] or "")
    if customer is None or customer.get("deleted"):
        return
    details, wanted = session["customer_details"], world.hidden(session["id"])["customer_update"]
    asked = [name for name in ("address", "name") if wanted.get(name) == "auto" and details[name]]
    previous = {name: customer[name] for name in asked if customer[name] != details[name]}
    if previous:
        customer.update({name: details[name] for name in previous})
        world.emit("customer.updated", customer, previous)
    known = [(each["type"], each["value"]) for each in tax_ids_of(world, customer["id"])]
    for each in details["tax_ids"]:
        if (each["type"], each["value"]) not in known:
            add_tax_id(world, customer, kind=each["type"], value=each["value"])


def _write_invoice(world: World, session: Obj) -> None:
    if session["mode"] == "payment" and session["invoice_creation"]["enabled"] and session["invoice"] is None:
        session["invoice"] = invoices.for_session(world, session)["id"]


def payment_settled(world: World, intent: Obj, *, has_succeeded: bool) -> None:
    """Tell the session of a payment that took its time how it ended."""
    session = world.table("checkout.session").get(world.hidden(intent["id"]).get("session", ""))
    if session is None or session["status"] != "complete":
        return
    if has_succeeded:
        session["payment_status"] = "paid"
        _write_invoice(world, session)
    outcome = "succeeded" if has_succeeded else "failed"
    world.emit(f"checkout.session.async_payment_{outcome}", session)
