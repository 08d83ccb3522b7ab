"""How a payment goes: authentication, declines, success at once or later, and what follows from a card."""

from __future__ import annotations

from typing import Any

from fastanchor.local.fakestripe import charges, disputes
from fastanchor.local.fakestripe.cards import NEEDS_AUTHENTICATION, Card, Decline
from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.payment_methods import attach_to, card_of, declined, spent
from fastanchor.local.fakestripe.world import Obj, World

# How long a bank account takes, unless somebody settles the payment before.
_BANK_S = 60


def confirm(world: World, intent: Obj, params: Any) -> None:
    """Try to pay an intent with its payment method; raises ``StripeError`` where the card says no."""
    method = _usable_method(world, intent)
    card = card_of(world, method)
    is_off_session = _is_off_session(params)
    if needs_customer(world, card, method, is_off_session=is_off_session):
        if is_off_session or params.get("error_on_requires_action"):
            raise decline(world, intent, method, NEEDS_AUTHENTICATION)
        _ask_customer(world, intent, method, params.get("return_url") or None)
        return
    pay(world, intent, method)


def _is_off_session(params: Any) -> bool:
    return params.get("off_session") not in {None, "", "false", False}


def _usable_method(world: World, intent: Obj) -> Obj:
    if intent["payment_method"] is None:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment "
            "method or ConfirmationToken."
        )
        raise StripeError(message, code="payment_intent_unexpected_state", payment_intent=intent)
    method = world.get("payment_method", intent["payment_method"], "payment_method")
    if method["customer"] is None:
        if world.hidden(method["id"]).get("is_spent"):
            raise spent()
    elif intent["customer"] is None:
        message = (
            f"The PaymentMethod {method['id']} belongs to the Customer {method['customer']}. Please include the Customer in "
            "the `customer` parameter on the PaymentIntent."
        )
        raise invalid(message)
    elif method["customer"] != intent["customer"]:
        message = (
            "The customer does not have a payment method with the ID "
            f"{method['id']}. The payment method must be attached to the customer."
        )
        raise invalid(message, param="payment_method", code="resource_missing")
    if method["type"] not in intent["payment_method_types"]:
        message = (
            f"The PaymentMethod provided ({method['type']}) is not allowed for this PaymentIntent. Please attach a "
            "PaymentMethod of one of the following types to confirm this PaymentIntent: "
            f"{', '.join(intent['payment_method_types'])}."
        )
        raise invalid(message, param="payment_method", code="payment_intent_invalid_parameter")
    return method


def needs_customer(world: World, card: Card | None, method: Obj, *, is_off_session: bool) -> bool:
    """Say whether the issuer wants to hear from the customer first."""
    if card is None:
        return False
    is_set_up = world.hidden(method["id"]).get("is_set_up", False)
    match card.authentication:
        case "always":
            return True
        case "unless_set_up":
            return not is_set_up
        case "on_session":
            return not is_off_session
        case _:
            return False


def _ask_customer(world: World, intent: Obj, method: Obj, return_url: str | None) -> None:
    world.hidden(intent["id"])["return_url"] = return_url
    intent["status"] = "requires_action"
    intent["last_payment_error"] = None
    url = f"{world.base_url}/3ds/{intent['id']}"
    if return_url:
        redirect = {"return_url": return_url, "url": url}
        intent["next_action"] = {"redirect_to_url": redirect, "type": "redirect_to_url"}
    else:
        sdk = {"source": method["id"], "stripe_js": url, "type": "three_d_secure_redirect"}
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
    world.emit("payment_intent.requires_action", intent)


def answer_challenge(world: World, intent: Obj, *, is_approved: bool) -> None:
    """Go on with an intent after its customer spoke to the issuer; raises ``StripeError``."""
    method = world.get("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if is_approved:
        pay(world, intent, method)
        return
    message = "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    refused = Decline("payment_intent_authentication_failure", None, message, None)
    raise decline(world, intent, method, refused, is_charged=False)


def pay(world: World, intent: Obj, method: Obj) -> None:
    """Take the money; raises ``StripeError``."""
    card = card_of(world, method)
    if card is not None and card.decline is not None:
        raise decline(world, intent, method, card.decline)
    intent["last_payment_error"], intent["next_action"] = None, None
    charge = charges.make(world, intent, method)
    keep_method(world, intent, method)
    if charge["status"] == "pending":
        _wait(world, intent, method)
    elif intent["capture_method"] == "manual":
        intent["status"], intent["amount_capturable"] = "requires_capture", intent["amount"]
        world.emit("payment_intent.amount_capturable_updated", intent)
    else:
        _succeed(world, intent)
        if card is not None and card.dispute:
            disputes.open_one(world, charge, kind=card.dispute)


def keep_method(world: World, intent: Obj, method: Obj) -> None:
    """Save the payment method where the intent says so; one that is not saved is used up."""
    if intent["setup_future_usage"] and intent["customer"]:
        attach_to(world, method, intent["customer"])
        world.hidden(method["id"])["is_set_up"] = True
    elif method["customer"] is None:
        world.hidden(method["id"])["is_spent"] = True


def _wait(world: World, intent: Obj, method: Obj) -> None:
    intent["status"] = "processing"
    world.emit("payment_intent.processing", intent)
    outcome, seconds = world.hidden(method["id"])["settles"]
    world.later(_BANK_S if seconds is None else seconds, outcome, intent["id"])


def settle(world: World, intent: Obj) -> bool:
    """Let a payment that was under way arrive; says whether it was under way."""
    if intent["status"] != "processing":
        return False
    charge = world.get("charge", intent["latest_charge"])
    charge["status"], charge["paid"] = "succeeded", True
    charges.earn(world, charge)
    world.emit("charge.succeeded", charge)
    _succeed(world, intent)
    return True


def fail(world: World, intent: Obj) -> bool:
    """Let a payment that was under way come to nothing; says whether it was under way."""
    if intent["status"] != "processing":
        return False
    charge = world.get("charge", intent["latest_charge"])
    message = "The customer's account has insufficient funds to cover this payment."
    charge.update(
        status="failed",
        captured=False,
        amount_captured=0,
        failure_code="insufficient_funds",
        failure_message=message,
    )
    world.emit("charge.failed", charge)
    method = world.get("payment_method", charge["payment_method"])
    told = {"charge": charge["id"], "code": "insufficient_funds", "message": message, "type": "card_error"}
    _ask_again(world, intent, {**told, "payment_method": method})
    return True


def _succeed(world: World, intent: Obj) -> None:
    intent["status"] = "succeeded"
    intent["amount_received"], intent["amount_capturable"] = intent["amount"], 0
    world.emit("payment_intent.succeeded", intent)


def _ask_again(world: World, intent: Obj, error: Obj) -> None:
    intent["status"], intent["payment_method"] = "requires_payment_method", None
    intent["last_payment_error"], intent["next_action"] = error, None
    world.emit("payment_intent.payment_failed", intent)


def decline(
    world: World, intent: Obj, method: Obj, refused: Decline, *, is_charged: bool = True
) -> StripeError:
    """Write down that the issuer said no, and return the error to raise."""
    more: Obj = {"payment_method": method}
    if is_charged:
        more["charge"] = charges.make(world, intent, method, decline=refused)["id"]
    if method["customer"] is None:
        world.hidden(method["id"])["is_spent"] = True
    error = declined(refused, **more)
    _ask_again(world, intent, dict(error.fields))
    error.fields["payment_intent"] = intent
    return error


def capture(world: World, intent: Obj, amount: int) -> None:
    """Take what was authorized, or less."""
    charge = world.get("charge", intent["latest_charge"])
    charge["captured"], charge["amount_captured"] = True, amount
    charges.earn(world, charge)
    world.emit("charge.captured", charge)
    intent["status"], intent["amount_received"], intent["amount_capturable"] = "succeeded", amount, 0
    world.emit("payment_intent.succeeded", intent)
