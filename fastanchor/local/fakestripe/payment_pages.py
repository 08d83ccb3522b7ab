"""What Stripe's own checkout page asks of Stripe, as far as the CLI's fixtures do the same."""

from __future__ import annotations

from fastanchor.local.fakestripe import completing
from fastanchor.local.fakestripe.calls import Call
from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.world import Obj


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/payment_pages/{session}``."""
    return call.object_in_path("checkout.session", "session")


def confirm(call: Call) -> Obj:
    """Answer ``POST /v1/payment_pages/{session}/confirm``."""
    world = call.world
    session = call.object_in_path("checkout.session", "session")
    method = world.get("payment_method", call.params.get("payment_method", ""), "payment_method")
    billing = method["billing_details"]
    buyer = completing.Buyer(email=billing["email"], name=billing["name"], address=billing["address"] or {})
    expected = call.params.get("expected_amount")
    if session["mode"] == "payment" and expected != str(completing.total_of(world, session, buyer)[0]):
        raise invalid(
            "The expected amount does not match the amount of the session.", param="expected_amount"
        )
    if session["status"] != "open":
        raise StripeError("This Checkout Session is no longer active.")
    completing.submit(world, session, method, buyer)
    return session
