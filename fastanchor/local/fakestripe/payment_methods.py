"""Payment methods: cards by number, by token and by name, bank accounts, and whose they are."""

from __future__ import annotations

import hashlib
from typing import Any

from fastanchor.local.fakestripe import cards
from fastanchor.local.fakestripe.calls import Call, address, merged, update
from fastanchor.local.fakestripe.cards import Card, Decline, card_error
from fastanchor.local.fakestripe.errors import StripeError, invalid, no_such
from fastanchor.local.fakestripe.lists import page, where
from fastanchor.local.fakestripe.world import Obj, World

# What becomes of a payment from an account, and after how many seconds.
_IBANS = {
    "AT321904300235473204": ("settle", 180),
    "AT861904300235473202": ("fail", 3),
    "IT60X0542811101000000123456": ("fail", 3),
}
_ACCOUNTS = {"000111111116": "fail", "000111111113": "fail", "000222222227": "fail"}
_SOON = 3


def named(world: World, given: str, param: str) -> Obj:
    """Return the payment method that an id or one of everybody's names stands for; raises ``StripeError``."""
    card = cards.by_name(given)
    if card is not None:
        return make_card(world, card)
    found = world.table("payment_method").get(given)
    if found is None:
        raise no_such("PaymentMethod", given, param)
    return found


def make_card(
    world: World,
    card: Card,
    *,
    exp_month: int = 12,
    exp_year: int | None = None,
    billing: Any = None,
    is_cvc_given: bool = True,
    **fields: Any,
) -> Obj:
    """Make a card."""
    shown = {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "unchecked" if is_cvc_given else None,
        },
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": exp_month,
        "exp_year": exp_year or _this_year(world) + 1,
        "fingerprint": hashlib.sha256(card.number.encode()).hexdigest()[:16],
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
    method = _make(world, "card", billing, card=shown, **fields)
    world.hidden(method["id"])["number"] = card.number
    return method


def _this_year(world: World) -> int:
    return 1970 + int(world.now() // 31_556_952)


def _make(world: World, kind: str, billing: Any, **fields: Any) -> Obj:
    usual = {"allow_redisplay": "unspecified", "metadata": {}, "radar_options": {}}
    return world.add(
        "payment_method", **{**usual, "type": kind, "billing_details": billing_details(billing), **fields}
    )


def billing_details(given: Any) -> Obj:
    """Return who pays, with all fields."""
    given = given or {}
    rest = {name: given.get(name) or None for name in ("email", "name", "phone", "tax_id")}
    return {"address": address(given.get("address") or {"city": None}), **rest}


def create(call: Call) -> Obj:
    """Answer ``POST /v1/payment_methods``."""
    if "type" not in call.params:
        raise invalid("Missing required param: type.", param="type", code="parameter_missing")
    return from_params(call.world, call.params)


def from_params(world: World, params: Any) -> Obj:
    """Make a payment method of what a caller tells about it; raises ``StripeError``."""
    billing, metadata = params.get("billing_details"), merged({}, params.get("metadata"))
    redisplay = params.get("allow_redisplay") or "unspecified"
    usual = {"metadata": metadata, "allow_redisplay": redisplay}
    match params["type"]:
        case "card":
            return _card_from_params(world, params.get("card") or {}, billing, usual)
        case "us_bank_account":
            return make_bank_account(world, params.get("us_bank_account") or {}, billing, **usual)
        case "sepa_debit":
            return _make_sepa(world, params.get("sepa_debit") or {}, billing, usual)
        case kind:
            raise invalid(f"The payment method type `{kind}` is invalid or not activated here.", param="type")


def _card_from_params(world: World, given: Any, billing: Any, usual: Obj) -> Obj:
    if token := given.get("token"):
        card = cards.by_name(token)
        if card is None:
            raise no_such("token", token, "card[token]")
        return make_card(world, card, billing=billing, **usual)
    for name in ("number", "exp_month", "exp_year"):
        if name not in given:
            raise invalid(
                f"Missing required param: card[{name}].", param=f"card[{name}]", code="parameter_missing"
            )
    card = cards.by_number(given["number"])
    check_expiry(world, given["exp_month"], given["exp_year"])
    return make_card(
        world,
        card,
        exp_month=given["exp_month"],
        exp_year=given["exp_year"] if given["exp_year"] > 99 else 2000 + given["exp_year"],
        billing=billing,
        is_cvc_given="cvc" in given,
        **usual,
    )


def check_expiry(world: World, month: int, year: int) -> None:
    """Refuse a month that is none and a year that is over; raises ``StripeError``."""
    if not 1 <= month <= 12:
        raise card_error(
            "Your card's expiration month is invalid.", code="invalid_expiry_month", param="exp_month"
        )
    full = year if year > 99 else 2000 + year
    if full < _this_year(world) or full > _this_year(world) + 50:
        raise card_error(
            "Your card's expiration year is invalid.", code="invalid_expiry_year", param="exp_year"
        )


def make_bank_account(world: World, given: Any, billing: Any, **fields: Any) -> Obj:
    """Make an American bank account, whose payments take their time."""
    number = given.get("account_number") or "000123456789"
    shown = {
        "account_holder_type": given.get("account_holder_type") or "individual",
        "account_type": given.get("account_type") or "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": hashlib.sha256(number.encode()).hexdigest()[:16],
        "last4": number[-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": given.get("routing_number") or "110000000",
        "status_details": {},
    }
    method = _make(world, "us_bank_account", billing, us_bank_account=shown, **fields)
    world.hidden(method["id"])["settles"] = [_ACCOUNTS.get(number, "settle"), None]
    return method


def _make_sepa(world: World, given: Any, billing: Any, usual: Obj) -> Obj:
    iban = (given.get("iban") or "").replace(" ", "")
    if len(iban) < 15:
        raise invalid(
            "The IBAN you provided is invalid.", param="sepa_debit[iban]", code="invalid_bank_account_iban"
        )
    shown = {
        "bank_code": iban[4:9],
        "branch_code": None,
        "country": iban[:2],
        "fingerprint": hashlib.sha256(iban.encode()).hexdigest()[:16],
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": iban[-4:],
    }
    method = _make(world, "sepa_debit", billing, sepa_debit=shown, **usual)
    world.hidden(method["id"])["settles"] = list(_IBANS.get(iban, ("settle", _SOON)))
    return method


def card_of(world: World, method: Obj) -> Card | None:
    """Return the test card behind a payment method."""
    number = world.hidden(method["id"]).get("number")
    return cards.by_number(number) if number else None


def retrieve(call: Call) -> Obj:
    """Answer ``GET /v1/payment_methods/{payment_method}``."""
    return named(call.world, call.path["payment_method"], "payment_method")


def change(call: Call) -> Obj:
    """Answer ``POST /v1/payment_methods/{payment_method}``."""
    method = call.object_in_path("payment_method", "payment_method")
    if method["customer"] is None:
        raise invalid("You must save this PaymentMethod to a customer before you can update it.")
    previous = update(call, method, ("metadata", "allow_redisplay"))
    if "billing_details" in call.params:
        previous["billing_details"] = method["billing_details"]
        fresh = {**method["billing_details"], **call.params["billing_details"]}
        method["billing_details"] = billing_details(fresh)
    card = call.params.get("card") or {}
    if fresh := {name: card[name] for name in ("exp_month", "exp_year") if name in card}:
        previous["card"] = {name: method["card"][name] for name in fresh}
        method["card"] = {**method["card"], **fresh}
    call.world.emit("payment_method.updated", method, previous)
    return method


def list_all(call: Call) -> Obj:
    """Answer ``GET /v1/payment_methods``."""
    if customer := call.params.get("customer"):
        call.world.alive("customer", customer, "customer")
    rows = [each for each in call.world.newest_first("payment_method") if each["customer"]]
    return page(call, where(call, rows, "customer", "type"), "/v1/payment_methods")


def list_of_customer(call: Call) -> Obj:
    """Answer ``GET /v1/customers/{customer}/payment_methods``."""
    customer = call.object_in_path("customer", "customer")["id"]
    rows = [each for each in call.world.newest_first("payment_method") if each["customer"] == customer]
    return page(call, where(call, rows, "type"), f"/v1/customers/{customer}/payment_methods")


def retrieve_of_customer(call: Call) -> Obj:
    """Answer ``GET /v1/customers/{customer}/payment_methods/{payment_method}``."""
    customer = call.object_in_path("customer", "customer")
    method = call.object_in_path("payment_method", "payment_method")
    if method["customer"] != customer["id"]:
        raise no_such("PaymentMethod", method["id"], "id")
    return method


def attach(call: Call) -> Obj:
    """Answer ``POST /v1/payment_methods/{payment_method}/attach``."""
    method = named(call.world, call.path["payment_method"], "payment_method")
    customer = call.world.alive("customer", call.params.get("customer") or "", "customer")
    require_savable(call.world, method)
    attach_to(call.world, method, customer["id"])
    return method


def require_savable(world: World, method: Obj) -> None:
    """Refuse a card whose issuer says no at once; raises ``StripeError``."""
    card = card_of(world, method)
    if card and card.decline and card.is_refused_early:
        raise declined(card.decline)


def attach_to(world: World, method: Obj, customer: str) -> None:
    """Make a payment method a customer's; raises ``StripeError``."""
    if method["customer"] == customer:
        return
    if method["customer"] is not None:
        raise invalid("The payment method you provided has already been attached to a customer.")
    if world.hidden(method["id"]).get("is_spent"):
        raise spent()
    method["customer"] = customer
    world.emit("payment_method.attached", method)


def spent() -> StripeError:
    """Return the error for a payment method that was used up or detached."""
    return StripeError(
        "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and "
        "may not be used again."
    )


def detach(call: Call) -> Obj:
    """Answer ``POST /v1/payment_methods/{payment_method}/detach``."""
    method = call.object_in_path("payment_method", "payment_method")
    if method["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise StripeError(message, param="payment_method")
    before, method["customer"] = method["customer"], None
    call.world.hidden(method["id"])["is_spent"] = True
    _forget_default(call.world, before, method["id"])
    call.world.emit("payment_method.detached", method, {"customer": before})
    return method


def _forget_default(world: World, customer: str, method: str) -> None:
    settings = world.get("customer", customer).get("invoice_settings")
    if settings and settings["default_payment_method"] == method:
        settings["default_payment_method"] = None


def declined(decline: Decline, **more: Any) -> StripeError:
    """Return the error for an issuer's no."""
    told = {"code": decline.code, "decline_code": decline.decline_code, "advice_code": decline.advice, **more}
    param = {"incorrect_cvc": "cvc", "expired_card": "exp_month"}.get(decline.code)
    return card_error(decline.message, param=param, **told)
