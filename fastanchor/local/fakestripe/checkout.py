"""Checkout sessions: made, read, expired; how they are paid stands in ``completing.py``."""

from __future__ import annotations

from typing import Any

from fastanchor.local.fakestripe import payment_intents, setup_intents
from fastanchor.local.fakestripe.calls import Call, chargeable, currency, merged
from fastanchor.local.fakestripe.errors import StripeError, invalid, no_such
from fastanchor.local.fakestripe.lists import listed, page, where
from fastanchor.local.fakestripe.payment_intents import types
from fastanchor.local.fakestripe.products import make_price
from fastanchor.local.fakestripe.world import Obj, World

_DAY = 86_400
_SOONEST = 1_800
# A clock may tick between the caller's arithmetic and ours.
_GRACE = 60


def create(call: Call) -> Obj:
    """Answer ``POST /v1/checkout/sessions``."""
    world, params = call.world, call.params
    _check(call)
    items = [_line_item(world, each, index) for index, each in enumerate(params.get("line_items") or [])]
    money = _currency(params, items)
    total = sum(item["amount_total"] for item in items)
    if params["mode"] == "payment":
        chargeable(total, money or "usd")
    session = world.add("checkout.session", **_fields(call, money, total if items else None))
    session["url"] = f"{world.base_url}/c/pay/{session['id']}"
    world.hidden(session["id"]).update(_promises(params), line_items=items)
    if params["mode"] == "setup":
        _prepare_set_up(world, session, params)
    world.later(session["expires_at"] - world.now(), "session_expires", session["id"])
    return session


def _check(call: Call) -> None:
    params, world = call.params, call.world
    mode = params.get("mode")
    if mode not in {"payment", "setup"}:
        reason = "Only `payment` and `setup` are known here." if mode else "Missing required param: mode."
        raise invalid(reason, param="mode", code=None if mode else "parameter_missing")
    if mode == "payment" and not params.get("line_items"):
        message = "`line_items` is required in `payment` mode."
        raise invalid(message, param="line_items", code="parameter_missing")
    if params.get("ui_mode", "hosted_page") == "hosted_page" and "success_url" not in params:
        raise invalid("Missing required param: success_url.", param="success_url", code="parameter_missing")
    if customer := params.get("customer"):
        world.alive("customer", customer, "customer")
        if "customer_email" in params:
            message = "You may only specify one of these parameters: customer, customer_email."
            raise invalid(message, param="customer")
    _check_customer_update(call)
    _check_expiry(call)


def _check_customer_update(call: Call) -> None:
    params = call.params
    changes: Any = params.get("customer_update") or {}
    if not params.get("customer"):
        if changes:
            raise invalid("`customer_update` can only be used with `customer`.", param="customer_update")
        return
    if _is_on(params, "tax_id_collection") and changes.get("name") != "auto":
        message = (
            "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an existing "
            "customer, please set `customer_update[name]` to `auto`."
        )
        raise invalid(message, param="customer_update[name]")
    known = call.world.get("customer", params["customer"])["address"]
    if (
        _is_on(params, "automatic_tax")
        and changes.get("address") != "auto"
        and not (known or {}).get("country")
    ):
        message = (
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the "
            "Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' to save the "
            "address entered in Checkout to the Customer."
        )
        raise invalid(message, code="customer_tax_location_invalid")


def _check_expiry(call: Call) -> None:
    if "expires_at" not in call.params:
        return
    left = call.params["expires_at"] - call.world.now()
    if left < _SOONEST - _GRACE:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise invalid(message, param="expires_at")
    if left > _DAY + _GRACE:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise invalid(message, param="expires_at")


def _is_on(params: Any, name: str) -> bool:
    return bool((params.get(name) or {}).get("enabled"))


def _line_item(world: World, given: Any, index: int) -> Obj:
    param = f"line_items[{index}]"
    if "price" in given:
        price = world.table("price").get(given["price"])
        if price is None:
            raise no_such("price", given["price"], f"{param}[price]")
    elif "price_data" in given:
        price = make_price(world, given["price_data"], is_active=False)
    else:
        raise invalid(
            f"Missing required param: {param}[price].", param=f"{param}[price]", code="parameter_missing"
        )
    quantity = given.get("quantity", 1)
    amount = price["unit_amount"] * quantity
    return {
        "id": world.new_id("item"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": world.get("product", price["product"])["name"],
        "metadata": given.get("metadata") or {},
        "price": price,
        "quantity": quantity,
    }


def _currency(params: Any, items: list[Obj]) -> str | None:
    used = {item["currency"] for item in items}
    if len(used) > 1:
        raise invalid("All prices of a Checkout Session must have the same currency.", param="line_items")
    if used:
        return str(used.pop())
    if "currency" in params:
        return currency(params["currency"])
    if not params.get("allowed_payment_method_types") and not params.get("payment_method_types"):
        message = "`currency` is required in `setup` mode when no types of payment method are named."
        raise invalid(message, param="currency", code="parameter_missing")
    return None


def _fields(call: Call, money: str | None, total: int | None) -> Obj:
    params = call.params
    is_payment = params["mode"] == "payment"
    kinds = types(params)
    tax_ids = params.get("tax_id_collection")
    fields: Obj = {
        "adaptive_pricing": {"enabled": False} if is_payment else None,
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {
            "enabled": _is_on(params, "automatic_tax"),
            "liability": {"type": "self"} if _is_on(params, "automatic_tax") else None,
            "provider": "stripe" if _is_on(params, "automatic_tax") else None,
            "status": "requires_location_inputs" if _is_on(params, "automatic_tax") else None,
        },
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "currency": money,
        "custom_fields": [],
        "custom_text": dict.fromkeys(
            ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        ),
        "customer": params.get("customer"),
        "customer_creation": _customer_creation(params),
        "customer_email": params.get("customer_email"),
        "expires_at": params.get("expires_at", call.world.now() + _DAY),
        "invoice_creation": _invoice_creation(params) if is_payment else None,
        "locale": params.get("locale"),
        "metadata": merged({}, params.get("metadata")),
        "mode": params["mode"],
        "payment_method_collection": "always" if is_payment else "if_required",
        "payment_method_configuration_details": kinds.get("payment_method_configuration_details"),
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": kinds["payment_method_types"],
        "payment_status": "unpaid" if is_payment else "no_payment_required",
        "phone_number_collection": {"enabled": _is_on(params, "phone_number_collection")},
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "success_url": params.get("success_url"),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}
        if is_payment
        else None,
        "ui_mode": params.get("ui_mode", "hosted_page"),
    }
    if tax_ids:
        required = tax_ids.get("required", "never")
        fields["tax_id_collection"] = {"enabled": tax_ids["enabled"], "required": required}
    return fields


def _customer_creation(params: Any) -> str | None:
    if params.get("customer"):
        return None
    given: str | None = params.get("customer_creation")
    return given or ("if_required" if params["mode"] == "payment" else "always")


def _invoice_creation(params: Any) -> Obj:
    given: Any = params.get("invoice_creation") or {}
    told: Any = given.get("invoice_data") or {}
    names = ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
    shown = {name: told.get(name) or None for name in names}
    return {
        "enabled": bool(given.get("enabled")),
        "invoice_data": {**shown, "metadata": merged({}, told.get("metadata"))},
    }


def _promises(params: Any) -> Obj:
    """Return what is to be done with the session once it is paid."""
    return {
        "payment": params.get("payment_intent_data") or {},
        "set_up": params.get("setup_intent_data") or {},
        "customer_update": params.get("customer_update") or {},
    }


def _prepare_set_up(world: World, session: Obj, params: Any) -> None:
    told: Any = params.get("setup_intent_data") or {}
    intent = setup_intents.make(
        world,
        customer=session["customer"],
        description=told.get("description"),
        metadata=merged({}, told.get("metadata")),
        payment_method_types=session["payment_method_types"],
    )
    session["setup_intent"] = intent["id"]


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/checkout/sessions/{session}``."""
    return call.object_in_path("checkout.session", "session")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/checkout/sessions/{session}``."""
    session = retrieve(call)
    session["metadata"] = merged(session["metadata"], call.params.get("metadata"))
    return session


def expire(call: Call) -> Obj:
    """Answer ``POST /v1/checkout/sessions/{session}/expire``."""
    session = retrieve(call)
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"{session['status']}."
        )
        raise StripeError(message)
    end(call.world, session)
    return session


def end(world: World, session: Obj) -> None:
    """Expire a session that is open, and what was to be paid with it."""
    if session["status"] != "open":
        return
    session["status"], session["url"] = "expired", None
    if session["payment_intent"]:
        payment_intents.close(world, world.get("payment_intent", session["payment_intent"]), "abandoned")
    if session["setup_intent"]:
        setup_intents.close(world, world.get("setup_intent", session["setup_intent"]), "abandoned")
    world.emit("checkout.session.expired", session)


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/checkout/sessions``."""
    names = ("customer", "payment_intent", "status")
    rows = where(call, call.world.newest_first("checkout.session"), *names)
    return page(call, rows, "/v1/checkout/sessions")


def list_line_items(call: Call) -> Obj:
    """Answer ``GET /v1/checkout/sessions/{session}/line_items``."""
    session = retrieve(call)
    rows = call.world.hidden(session["id"])["line_items"]
    return page(call, rows, f"/v1/checkout/sessions/{session['id']}/line_items")


def expanded_line_items(world: World, session: Obj) -> Obj:
    """Return the list that ``expand[]=line_items`` shows."""
    rows = world.hidden(session["id"])["line_items"]
    return listed(rows, f"/v1/checkout/sessions/{session['id']}/line_items")
