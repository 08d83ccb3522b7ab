"""Customers and their tax ids."""

from __future__ import annotations

from fastanchor.lib.ids import random_base62
from fastanchor.local.fakestripe.calls import Call, address, merged, shipping, update
from fastanchor.local.fakestripe.errors import invalid
from fastanchor.local.fakestripe.lists import listed, page, search as found, where
from fastanchor.local.fakestripe.payment_methods import attach_to, named, require_savable
from fastanchor.local.fakestripe.taxes import require_email, require_tax_id
from fastanchor.local.fakestripe.world import Obj, World

_PLAIN = ("balance", "description", "email", "metadata", "name", "phone", "preferred_locales", "tax_exempt")


def create(call: Call) -> Obj:
    """Answer ``POST /v1/customers``."""
    params = call.params
    require_email(call.text("email"))
    given = params.get("payment_method") or params.get("source")
    method = named(call.world, given, "payment_method") if isinstance(given, str) else None
    if method is not None:
        require_savable(call.world, method)
    customer = make(
        call.world,
        address=address(params.get("address")),
        balance=params.get("balance", 0),
        description=call.text("description"),
        email=call.text("email"),
        metadata=merged({}, params.get("metadata")),
        name=call.text("name"),
        phone=call.text("phone"),
        preferred_locales=params.get("preferred_locales") or [],
        shipping=shipping(params.get("shipping")),
        tax_exempt=params.get("tax_exempt") or "none",
    )
    if method is not None:
        attach_to(call.world, method, customer["id"])
    _set_default(call, customer)
    for each in params.get("tax_id_data", []):
        add_tax_id(call.world, customer, kind=each["type"], value=each["value"])
    return customer


def make(world: World, **fields: object) -> Obj:
    """Make a customer with all that every customer has."""
    usual = {
        "balance": 0,
        "delinquent": False,
        "invoice_prefix": random_base62(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }
    customer = world.add("customer", **{**usual, **fields})
    world.emit("customer.created", customer)
    return customer


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/customers/{customer}``, deleted ones too."""
    return call.world.get("customer", call.path["customer"])


def change(call: Call) -> Obj:
    """Answer ``POST /v1/customers/{customer}``."""
    customer = call.object_in_path("customer", "customer")
    require_email(call.text("email"))
    previous = update(call, customer, _PLAIN)
    for name, read in (("address", address), ("shipping", shipping)):
        if name in call.params and customer[name] != read(call.params[name]):
            previous[name], customer[name] = customer[name], read(call.params[name])
    previous |= _set_default(call, customer)
    call.world.emit("customer.updated", customer, previous)
    return customer


def _set_default(call: Call, customer: Obj) -> Obj:
    """Choose the card of invoices; it must be the customer's own."""
    settings = call.params.get("invoice_settings") or {}
    if "default_payment_method" not in settings:
        return {}
    chosen = settings["default_payment_method"] or None
    if chosen is not None:
        method = call.world.get("payment_method", chosen, "invoice_settings[default_payment_method]")
        if method["customer"] != customer["id"]:
            message = (
                "The customer does not have a payment method with the ID "
                f"{chosen}. The payment method must be attached to the customer."
            )
            raise invalid(message, param="invoice_settings[default_payment_method]", code="resource_missing")
    before = customer["invoice_settings"]
    customer["invoice_settings"] = {**before, "default_payment_method": chosen}
    return {"invoice_settings": before}


def delete(call: Call) -> Obj:
    """Answer ``DELETE /v1/customers/{customer}``."""
    return remove(call.world, call.object_in_path("customer", "customer"))


def remove(world: World, customer: Obj) -> Obj:
    """Delete a customer: payment methods are detached, tax ids are gone."""
    for method in list(world.newest_first("payment_method")):
        if method["customer"] == customer["id"]:
            method["customer"] = None
            world.hidden(method["id"])["is_spent"] = True
    for tax_id in list(world.newest_first("tax_id")):
        if tax_id["customer"] == customer["id"]:
            world.bury(tax_id)
    rest = world.bury(customer)
    world.emit("customer.deleted", customer)
    return rest


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/customers``."""
    return page(call, where(call, call.world.newest_first("customer"), "email"), "/v1/customers")


def search(call: Call) -> Obj:
    """Answer ``GET /v1/customers/search``."""
    return found(call, call.world.newest_first("customer"), "/v1/customers/search")


def create_tax_id(call: Call) -> Obj:
    """Answer ``POST /v1/customers/{customer}/tax_ids``."""
    customer = call.object_in_path("customer", "customer")
    return add_tax_id(call.world, customer, kind=call.params["type"], value=call.params["value"])


def add_tax_id(world: World, customer: Obj, *, kind: str, value: str) -> Obj:
    """Add a tax id to a customer; raises ``StripeError`` for one that cannot be."""
    require_tax_id(kind, value)
    tax_id = world.add(
        "tax_id",
        country=country_of(kind),
        customer=customer["id"],
        owner={"customer": customer["id"], "customer_account": None, "type": "customer"},
        type=kind,
        value=value,
        verification={"status": "pending", "verified_address": None, "verified_name": None}
        if kind in {"eu_vat", "gb_vat"}
        else None,
    )
    world.emit("customer.tax_id.created", tax_id)
    return tax_id


def country_of(kind: str) -> str | None:
    """Return the country of a kind of tax id, where the kind names one."""
    first = kind.partition("_")[0].upper()
    return None if first in {"EU", "XI"} else first


def tax_ids_of(world: World, customer: str) -> list[Obj]:
    """Return a customer's tax ids, newest first."""
    return [each for each in world.newest_first("tax_id") if each["customer"] == customer]


def list_tax_ids(call: Call) -> Obj:
    """Answer ``GET /v1/customers/{customer}/tax_ids``."""
    customer = call.object_in_path("customer", "customer")["id"]
    return page(call, tax_ids_of(call.world, customer), f"/v1/customers/{customer}/tax_ids")


def retrieve_tax_id(call: Call) -> Obj:
    """Answer ``GET /v1/customers/{customer}/tax_ids/{id}``."""
    call.object_in_path("customer", "customer")
    return call.object_in_path("tax_id")


def delete_tax_id(call: Call) -> Obj:
    """Answer ``DELETE /v1/customers/{customer}/tax_ids/{id}``."""
    tax_id = retrieve_tax_id(call)
    call.world.emit("customer.tax_id.deleted", tax_id)
    return call.world.bury(tax_id)


def expanded_tax_ids(world: World, customer: Obj) -> Obj:
    """Return the list that ``expand[]=tax_ids`` shows."""
    return listed(tax_ids_of(world, customer["id"]), f"/v1/customers/{customer['id']}/tax_ids")
