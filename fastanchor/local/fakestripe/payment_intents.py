"""Payment intents: made, confirmed, settled later, captured, canceled."""

from __future__ import annotations

from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.fakestripe import paying
from fastanchor.local.fakestripe.calls import Call, chargeable, currency, merged, shipping, update
from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.lists import page, search as found, where
from fastanchor.local.fakestripe.payment_methods import from_params, named
from fastanchor.local.fakestripe.world import Obj, World

_OPEN = (
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "requires_capture",
    "processing",
)
# What may be changed when all is over.
_CHANGEABLE = {"description", "expand", "metadata"}
_CONFIGURATION = {"id": "pmc_1FakeStripeDefault0000000", "parent": None}


def create(call: Call) -> Obj:
    """Answer ``POST /v1/payment_intents``."""
    params, world = call.params, call.world
    if not params.get("confirm") and ("off_session" in params or "error_on_requires_action" in params):
        name = "off_session" if "off_session" in params else "error_on_requires_action"
        raise invalid(f"You can only pass `{name}` when `confirm` is true.", param=name)
    if params.get("confirm"):
        require_way_back(call, types(params), "PaymentIntent")
    money = currency(params["currency"])
    chargeable(params["amount"], money)
    if customer := call.text("customer"):
        world.alive("customer", customer, "customer")
    method = _method(call)
    intent = make(
        world,
        allowed_payment_method_types=params.get("allowed_payment_method_types"),
        amount=params["amount"],
        capture_method=params.get("capture_method", "automatic_async"),
        confirmation_method=params.get("confirmation_method", "automatic"),
        currency=money,
        customer=customer,
        description=call.text("description"),
        metadata=merged({}, params.get("metadata")),
        payment_method=method["id"] if method else None,
        receipt_email=call.text("receipt_email"),
        setup_future_usage=call.text("setup_future_usage"),
        shipping=shipping(params.get("shipping")),
        statement_descriptor=call.text("statement_descriptor"),
        statement_descriptor_suffix=call.text("statement_descriptor_suffix"),
        transfer_group=call.text("transfer_group"),
        **types(params),
    )
    if params.get("confirm"):
        paying.confirm(world, intent, params)
    return intent


def types(params: Any) -> Obj:
    """Return the fields that say which kinds of payment method are allowed."""
    given = params.get("payment_method_types") or params.get("allowed_payment_method_types")
    if given:
        return {"payment_method_types": given}
    excluded = params.get("excluded_payment_method_types") or []
    redirects = (params.get("automatic_payment_methods") or {}).get("allow_redirects", "always")
    return {
        "automatic_payment_methods": {"allow_redirects": redirects, "enabled": True},
        "excluded_payment_method_types": excluded or None,
        "payment_method_configuration_details": _CONFIGURATION,
        "payment_method_types": [kind for kind in ("card", "us_bank_account") if kind not in excluded],
    }


def require_way_back(call: Call, kinds: Obj, name: str) -> None:
    """Demand an address to come back to where a payment method may lead away; raises ``StripeError``."""
    automatic = kinds.get("automatic_payment_methods") or {}
    is_led_away = automatic.get("allow_redirects") == "always"
    if not call.is_endive or not is_led_away or call.params.get("off_session") or call.text("return_url"):
        return
    message = (
        f"This {name} is configured to accept payment methods enabled in your Dashboard. Because some of these payment "
        "methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept "
        "redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
        "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
    )
    raise invalid(message)


def make(world: World, **fields: Any) -> Obj:
    """Make a payment intent with all that every one has."""
    usual: Obj = {
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "metadata": {},
        "payment_method_options": {"card": _card_options()},
        "status": "requires_confirmation" if fields.get("payment_method") else "requires_payment_method",
    }
    intent = world.add("payment_intent", **{**usual, **fields})
    intent["client_secret"] = f"{intent['id']}_secret_{random_base62(25)}"
    world.emit("payment_intent.created", intent)
    return intent


def _card_options() -> Obj:
    return {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": "automatic",
    }


def _method(call: Call) -> Obj | None:
    if given := call.text("payment_method"):
        return named(call.world, given, "payment_method")
    if described := call.params.get("payment_method_data"):
        return from_params(call.world, described)
    return None


def confirm(call: Call) -> Obj:
    """Answer ``POST /v1/payment_intents/{intent}/confirm``."""
    intent = call.object_in_path("payment_intent", "intent")
    if intent["status"] not in {"requires_payment_method", "requires_confirmation", "requires_action"}:
        raise unexpected(
            intent, f"You cannot confirm this PaymentIntent because it has already {_past(intent)}."
        )
    require_way_back(call, intent, "PaymentIntent")
    if method := _method(call):
        intent["payment_method"] = method["id"]
    if "setup_future_usage" in call.params:
        intent["setup_future_usage"] = call.text("setup_future_usage")
    paying.confirm(call.world, intent, call.params)
    return intent


def _past(intent: Obj) -> str:
    return {"succeeded": "succeeded after being previously confirmed", "canceled": "been canceled"}.get(
        intent["status"], "been confirmed"
    )


def unexpected(intent: Obj, message: str) -> StripeError:
    """Return the error for an intent that is not in the state for this."""
    return StripeError(message, code="payment_intent_unexpected_state", payment_intent=intent)


def capture(call: Call) -> Obj:
    """Answer ``POST /v1/payment_intents/{intent}/capture``."""
    intent = call.object_in_path("payment_intent", "intent")
    if intent["status"] != "requires_capture":
        message = (
            f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a PaymentIntent "
            "with one of the following statuses may be captured: requires_capture."
        )
        raise unexpected(intent, message)
    amount = call.params.get("amount_to_capture") or intent["amount_capturable"]
    if not 1 <= amount <= intent["amount_capturable"]:
        raise invalid("The payment intent could not be captured for this amount.", param="amount_to_capture")
    paying.capture(call.world, intent, amount)
    return intent


def cancel(call: Call) -> Obj:
    """Answer ``POST /v1/payment_intents/{intent}/cancel``."""
    intent = call.object_in_path("payment_intent", "intent")
    if intent["status"] not in _OPEN:
        message = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
        raise unexpected(intent, message)
    close(call.world, intent, call.params.get("cancellation_reason"))
    return intent


def close(world: World, intent: Obj, reason: str | None) -> None:
    """Cancel a payment intent."""
    intent["status"], intent["canceled_at"], intent["cancellation_reason"] = "canceled", world.now(), reason
    intent["amount_capturable"], intent["next_action"] = 0, None
    world.emit("payment_intent.canceled", intent)


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/payment_intents/{intent}``."""
    return call.object_in_path("payment_intent", "intent")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/payment_intents/{intent}``."""
    intent = call.object_in_path("payment_intent", "intent")
    if intent["status"] not in _OPEN and set(call.params) - _CHANGEABLE:
        raise unexpected(intent, f"This PaymentIntent's fields cannot be updated: it is {intent['status']}.")
    if method := _method(call):
        intent["payment_method"], intent["status"] = method["id"], "requires_confirmation"
    if "amount" in call.params:
        intent["amount"] = chargeable(call.params["amount"], intent["currency"])
    update(call, intent, ("customer", "description", "metadata", "receipt_email", "setup_future_usage"))
    return intent


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/payment_intents``."""
    rows = where(call, call.world.newest_first("payment_intent"), "customer")
    return page(call, rows, "/v1/payment_intents")


def search(call: Call) -> Obj:
    """Answer ``GET /v1/payment_intents/search``."""
    return found(call, call.world.newest_first("payment_intent"), "/v1/payment_intents/search")
