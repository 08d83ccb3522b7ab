"""Products and prices."""

from __future__ import annotations

from typing import Any

from fastanchor.local.fakestripe.calls import Call, currency, merged, update
from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.world import Obj, World


def create(call: Call) -> Obj:
    """Answer ``POST /v1/products``."""
    product = make(call.world, call.params)
    if described := call.params.get("default_price_data"):
        product["default_price"] = make_price(call.world, {**described, "product": product["id"]})["id"]
    return product


def make(world: World, params: Any) -> Obj:
    """Make a product."""
    if params.get("id") in world.table("product"):
        raise StripeError("Product already exists.", param="id", code="resource_already_exists")
    fields: Obj = {"id": params["id"]} if "id" in params else {}
    product = world.add(
        "product",
        **fields,
        active=params.get("active", True),
        description=params.get("description") or None,
        images=params.get("images") or [],
        marketing_features=params.get("marketing_features") or [],
        metadata=merged({}, params.get("metadata")),
        name=params["name"],
        statement_descriptor=params.get("statement_descriptor"),
        tax_code=params.get("tax_code"),
        unit_label=params.get("unit_label"),
        updated=world.now(),
        url=params.get("url"),
    )
    world.emit("product.created", product)
    return product


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/products/{id}``."""
    return call.object_in_path("product")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/products/{id}``."""
    product = retrieve(call)
    names = (
        "active",
        "default_price",
        "description",
        "images",
        "metadata",
        "name",
        "tax_code",
        "unit_label",
        "url",
    )
    previous = update(call, product, names)
    previous["updated"], product["updated"] = product["updated"], call.world.now()
    call.world.emit("product.updated", product, previous)
    return product


def delete(call: Call) -> Obj:
    """Answer ``DELETE /v1/products/{id}``."""
    product = retrieve(call)
    if any(price["product"] == product["id"] for price in call.world.newest_first("price")):
        raise StripeError("This product cannot be deleted because it has one or more user-created prices.")
    call.world.emit("product.deleted", product)
    return call.world.bury(product)


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/products``."""
    rows = where(call, call.world.newest_first("product"), "active", "url")
    if ids := call.params.get("ids"):
        rows = [row for row in rows if row["id"] in ids]
    return page(call, rows, "/v1/products")


def create_price(call: Call) -> Obj:
    """Answer ``POST /v1/prices``."""
    params = call.params
    if "product" not in params and "product_data" not in params:
        raise invalid("You must specify either `product` or `product_data` when creating a price.")
    if "product" in params:
        call.world.alive("product", params["product"], "product")
    price = make_price(call.world, params)
    call.world.emit("price.created", price)
    return price


def make_price(world: World, params: Any, *, is_active: bool = True) -> Obj:
    """Make a price, and its product where that is only described."""
    money = currency(params["currency"])
    product = params.get("product") or make(world, params["product_data"])["id"]
    recurring = params.get("recurring")
    amount = _unit_amount(params)
    return world.add(
        "price",
        active=params.get("active", is_active),
        billing_scheme="per_unit",
        currency=money,
        lookup_key=params.get("lookup_key"),
        metadata=merged({}, params.get("metadata")),
        nickname=params.get("nickname"),
        product=product,
        recurring=_recurring(recurring) if recurring else None,
        tax_behavior=params.get("tax_behavior", "unspecified"),
        type="recurring" if recurring else "one_time",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )


def _unit_amount(params: Any) -> int:
    if "unit_amount" in params:
        amount: int = params["unit_amount"]
        return amount
    written = params.get("unit_amount_decimal", "")
    if not written.isdecimal():
        message = "Prices require an `unit_amount` or a whole `unit_amount_decimal`."
        raise invalid(message, param="unit_amount", code="parameter_missing")
    return int(written)


def _recurring(given: Any) -> Obj:
    return {
        "interval": given["interval"],
        "interval_count": given.get("interval_count", 1),
        "meter": given.get("meter"),
        "usage_type": given.get("usage_type", "licensed"),
    }


def retrieve_price(call: Call) -> Obj:
    """Answer ``GET /v1/prices/{price}``."""
    return call.object_in_path("price", "price")


def change_price(call: Call) -> Obj:
    """Answer ``POST /v1/prices/{price}``."""
    price = retrieve_price(call)
    previous = update(call, price, ("active", "lookup_key", "metadata", "nickname", "tax_behavior"))
    call.world.emit("price.updated", price, previous)
    return price


def list_prices(call: Call) -> Obj:
    """Answer ``GET /v1/prices``."""
    rows = where(call, call.world.newest_first("price"), "active", "currency", "product", "type")
    if keys := call.params.get("lookup_keys"):
        rows = [row for row in rows if row["lookup_key"] in keys]
    return page(call, rows, "/v1/prices")
