"""Setup intents: save a payment method without taking money."""

from __future__ import annotations

from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.fakestripe.calls import Call, merged, update
from fastanchor.local.fakestripe.cards import Decline
from fastanchor.local.fakestripe.errors import StripeError
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.payment_intents import require_way_back, types
from fastanchor.local.fakestripe.payment_methods import attach_to, card_of, declined, from_params, named
from fastanchor.local.fakestripe.world import Obj, World

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def create(call: Call) -> Obj:
    """Answer ``POST /v1/setup_intents``."""
    params, world = call.params, call.world
    if params.get("confirm"):
        require_way_back(call, types(params), "SetupIntent")
    customer = call.text("customer")
    if customer:
        world.alive("customer", customer, "customer")
    method = _method(call)
    intent = make(
        world,
        customer=customer,
        description=call.text("description"),
        metadata=merged({}, params.get("metadata")),
        payment_method=method["id"] if method else None,
        usage=params.get("usage", "off_session"),
        allowed_payment_method_types=params.get("allowed_payment_method_types"),
        **types(params),
    )
    if params.get("confirm"):
        _confirm(world, intent, params)
    return intent


def make(world: World, **fields: Any) -> Obj:
    """Make a setup intent with all that every one has."""
    options = {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    usual: Obj = {
        "metadata": {},
        "payment_method_options": {"card": options},
        "status": "requires_confirmation" if fields.get("payment_method") else "requires_payment_method",
        "usage": "off_session",
    }
    intent = world.add("setup_intent", **{**usual, **fields})
    intent["client_secret"] = f"{intent['id']}_secret_{random_base62(25)}"
    world.emit("setup_intent.created", intent)
    return intent


def _method(call: Call) -> Obj | None:
    if given := call.text("payment_method"):
        return named(call.world, given, "payment_method")
    if described := call.params.get("payment_method_data"):
        return from_params(call.world, described)
    return None


def confirm(call: Call) -> Obj:
    """Answer ``POST /v1/setup_intents/{intent}/confirm``."""
    intent = call.object_in_path("setup_intent", "intent")
    _require_open(intent, "confirm")
    require_way_back(call, intent, "SetupIntent")
    if method := _method(call):
        intent["payment_method"] = method["id"]
    _confirm(call.world, intent, call.params)
    return intent


def _require_open(intent: Obj, verb: str) -> None:
    if intent["status"] not in _OPEN:
        message = f"You cannot {verb} this SetupIntent because it has already {intent['status']}."
        raise StripeError(message, code="setup_intent_unexpected_state", setup_intent=intent)


def _confirm(world: World, intent: Obj, params: Any) -> None:
    if intent["payment_method"] is None:
        message = (
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the SetupIntent with a payment "
            "method and then confirm it again."
        )
        raise StripeError(message, code="setup_intent_unexpected_state", setup_intent=intent)
    method = world.get("payment_method", intent["payment_method"])
    card = card_of(world, method)
    if card is not None and card.authentication in {"always", "unless_set_up"}:
        ask_customer(world, intent, params.get("return_url") or None)
    else:
        finish(world, intent, method)


def ask_customer(world: World, intent: Obj, return_url: str | None) -> None:
    """Wait until the customer spoke to the issuer, on a page of ours."""
    world.hidden(intent["id"])["return_url"] = return_url
    intent["status"] = "requires_action"
    url = f"{world.base_url}/3ds/{intent['id']}"
    if return_url:
        redirect = {"return_url": return_url, "url": url}
        intent["next_action"] = {"redirect_to_url": redirect, "type": "redirect_to_url"}
    else:
        sdk = {"stripe_js": url, "type": "three_d_secure_redirect"}
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
    world.emit("setup_intent.requires_action", intent)


def answer_challenge(world: World, intent: Obj, *, is_approved: bool) -> None:
    """Go on after the customer spoke to the issuer; raises ``StripeError``."""
    method = world.get("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if is_approved:
        finish(world, intent, method)
        return
    message = "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    raise _refused(world, intent, method, Decline("setup_intent_authentication_failure", None, message, None))


def finish(world: World, intent: Obj, method: Obj) -> None:
    """Save the payment method; raises ``StripeError`` where the card says no."""
    card = card_of(world, method)
    if card is not None and card.decline is not None and card.is_refused_early:
        raise _refused(world, intent, method, card.decline)
    if intent["customer"]:
        attach_to(world, method, intent["customer"])
    world.hidden(method["id"])["is_set_up"] = True
    intent["payment_method"] = method["id"]
    intent["status"], intent["last_setup_error"], intent["next_action"] = "succeeded", None, None
    world.emit("setup_intent.succeeded", intent)


def _refused(world: World, intent: Obj, method: Obj, refused: Decline) -> StripeError:
    error = declined(refused, payment_method=method)
    intent["status"], intent["payment_method"] = "requires_payment_method", None
    intent["last_setup_error"] = dict(error.fields)
    world.emit("setup_intent.setup_failed", intent)
    error.fields["setup_intent"] = intent
    return error


def cancel(call: Call) -> Obj:
    """Answer ``POST /v1/setup_intents/{intent}/cancel``."""
    intent = call.object_in_path("setup_intent", "intent")
    _require_open(intent, "cancel")
    close(call.world, intent, call.params.get("cancellation_reason"))
    return intent


def close(world: World, intent: Obj, reason: str | None) -> None:
    """Cancel a setup intent."""
    intent["status"], intent["cancellation_reason"], intent["next_action"] = "canceled", reason, None
    world.emit("setup_intent.canceled", intent)


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/setup_intents/{intent}``."""
    return call.object_in_path("setup_intent", "intent")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/setup_intents/{intent}``."""
    intent = call.object_in_path("setup_intent", "intent")
    if method := _method(call):
        intent["payment_method"], intent["status"] = method["id"], "requires_confirmation"
    update(call, intent, ("customer", "description", "metadata"))
    return intent


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/setup_intents``."""
    rows = where(call, call.world.newest_first("setup_intent"), "customer", "payment_method")
    return page(call, rows, "/v1/setup_intents")
