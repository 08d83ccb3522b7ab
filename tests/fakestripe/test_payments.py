"""Payments without a page: cards, authentication, capture, and what the balance says afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.fakestripe.buying import charge_now, kinds_of
from tests.fakestripe.running import RunningStripe


def test_a_payment_brings_its_amount_less_the_fee(client: stripe.StripeClient) -> None:
    intent = charge_now(client, cents=2_000, expand=["latest_charge.balance_transaction"])

    charge: Any = intent.latest_charge
    booked = charge.balance_transaction
    assert (booked.amount, booked.fee, booked.net, booked.type) == (2_000, 88, 1_912, "charge")
    assert booked.source == charge.id
    assert client.v1.balance.retrieve().pending[0].amount == 1_912
    assert kinds_of(client) == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ],
)
def test_a_decline_names_its_reason(
    client: stripe.StripeClient, card: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as declined:
        charge_now(client, card)

    error: Any = declined.value.error
    assert (declined.value.http_status, error.type, error.code) == (402, "card_error", code)
    assert error.decline_code == decline_code
    assert error.payment_intent.status == "requires_payment_method"
    intent = client.v1.payment_intents.retrieve(error.payment_intent.id, {"expand": ["latest_charge"]})
    charge: Any = intent.latest_charge
    assert (charge.status, charge.failure_code, charge.id) == ("failed", code, error.charge)
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.decline_code == decline_code
    assert client.v1.balance_transactions.list().data == []
    assert kinds_of(client)[-2:] == ["charge.failed", "payment_intent.payment_failed"]


@pytest.mark.parametrize("card", ["pm_card_chargeDeclined", "pm_card_chargeDeclinedExpiredCard"])
def test_a_bad_card_cannot_be_saved(client: stripe.StripeClient, card: str) -> None:
    ada = client.v1.customers.create()

    with pytest.raises(stripe.CardError):
        client.v1.customers.create({"payment_method": card})
    with pytest.raises(stripe.CardError):
        client.v1.payment_methods.attach(card, {"customer": ada.id})
    with pytest.raises(stripe.CardError):
        client.v1.setup_intents.create(
            {
                "payment_method": card,
                "confirm": True,
                "customer": ada.id,
                "return_url": "http://127.0.0.1:9/back",
            }
        )

    assert client.v1.customers.payment_methods.list(ada.id).data == []


def test_a_card_may_be_saved_and_declined_later(client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create()
    card = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": ada.id})

    with pytest.raises(stripe.CardError) as declined:
        charge_now(client, card.id, customer=ada.id, off_session=True)

    assert declined.value.code == "card_declined"


def test_a_bank_that_asks_is_a_decline_while_the_customer_is_away(client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create()
    card = client.v1.payment_methods.attach("pm_card_authenticationRequired", {"customer": ada.id})

    with pytest.raises(stripe.CardError) as declined:
        charge_now(client, card.id, customer=ada.id, off_session=True)

    error: Any = declined.value.error
    assert (declined.value.http_status, error.code) == (402, "authentication_required")
    assert (error.payment_intent.status, error.payment_method.id) == ("requires_payment_method", card.id)


def test_a_bank_that_asks_gets_its_answer_on_a_page(fake: RunningStripe, client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create(
        {
            "amount": 700,
            "currency": "usd",
            "payment_method": "pm_card_authenticationRequired",
            "confirm": True,
            "return_url": "http://127.0.0.1:9/back?top_up=1",
        }
    )
    action: Any = intent.next_action

    asked = fake.browser.get(action.redirect_to_url.url)
    answered = fake.browser.post(action.redirect_to_url.url, data={"answer": "approve"})

    assert intent.status == "requires_action"
    assert "$7.00" in asked.text
    assert answered.headers["location"].startswith(
        f"http://127.0.0.1:9/back?top_up=1&payment_intent={intent.id}&"
    )
    assert "redirect_status=succeeded" in answered.headers["location"]
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_card_that_was_set_up_is_not_asked_again(fake: RunningStripe, client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create()
    intent = client.v1.setup_intents.create(
        {
            "customer": ada.id,
            "payment_method": "pm_card_authenticationRequiredOnSetup",
            "confirm": True,
            "return_url": "http://127.0.0.1:9/back",
        }
    )
    action: Any = intent.next_action

    fake.browser.post(action.redirect_to_url.url, data={"answer": "approve"})
    card = client.v1.customers.payment_methods.list(ada.id).data[0]
    paid = charge_now(client, card.id, customer=ada.id, off_session=True)

    assert client.v1.setup_intents.retrieve(intent.id).status == "succeeded"
    assert paid.status == "succeeded"


def test_money_can_be_held_and_taken_later(client: stripe.StripeClient) -> None:
    held = charge_now(client, cents=900, capture_method="manual")
    taken = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 600})
    other = client.v1.payment_intents.cancel(charge_now(client, capture_method="manual").id)

    assert (held.status, held.amount_capturable) == ("requires_capture", 900)
    assert (taken.status, taken.amount_received) == ("succeeded", 600)
    assert [each.amount for each in client.v1.balance_transactions.list().data] == [600]
    assert other.status == "canceled"


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"amount": 49}, "amount_too_small", "amount"),
        ({"amount": -1}, "parameter_invalid_integer", "amount"),
        ({"amount": 100_000_000}, "amount_too_large", "amount"),
        ({"currency": "xyz"}, None, "currency"),
        ({"customer": "cus_nobody"}, "resource_missing", "customer"),
        ({"payment_method": "pm_nobody"}, "resource_missing", "payment_method"),
        (
            {"payment_method_types": ["card"]},
            "payment_method_types_no_longer_supported",
            "payment_method_types",
        ),
        ({"metadata": "no"}, None, "metadata"),
        ({"amuont": 1}, "parameter_unknown", "amuont"),
    ],
)
def test_nonsense_is_refused_as_stripe_does(
    client: stripe.StripeClient, changes: dict[str, Any], code: str | None, param: str
) -> None:
    params: Any = {"amount": 1_000, "currency": "usd", **changes}

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.create(params)

    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)
    assert client.v1.payment_intents.list().data == []


def test_a_payment_that_may_lead_away_needs_a_way_back(client: stripe.StripeClient) -> None:
    def pay(**more: Any) -> stripe.PaymentIntent:
        params: Any = {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
        params.update(more)
        return client.v1.payment_intents.create(params)

    with pytest.raises(stripe.InvalidRequestError, match="you must provide a `return_url`"):
        pay()

    assert pay(return_url="http://127.0.0.1:9/").status == "succeeded"
    assert pay(off_session=True).status == "succeeded"


def test_a_deleted_customer_cannot_pay(client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create()
    client.v1.customers.delete(ada.id)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        charge_now(client, customer=ada.id)

    assert refused.value.code == "resource_missing"
    assert client.v1.customers.retrieve(ada.id).deleted is True
