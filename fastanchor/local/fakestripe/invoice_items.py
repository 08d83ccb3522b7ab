"""Invoice items: what the next invoice of a customer will ask for."""

from __future__ import annotations

from fastanchor.local.fakestripe.calls import Call, currency, merged
from fastanchor.local.fakestripe.world import Obj


def create(call: Call) -> Obj:
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


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/invoiceitems/{invoiceitem}``."""
    return call.object_in_path("invoiceitem", "invoiceitem")


def delete(call: Call) -> Obj:
    """Answer ``DELETE /v1/invoiceitems/{invoiceitem}``."""
    item = retrieve(call)
    call.world.emit("invoiceitem.deleted", item)
    return call.world.bury(item)
