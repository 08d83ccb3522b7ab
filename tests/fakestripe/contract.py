"""What the product relies on of Stripe, asked with the official SDK of any Stripe: the fake, or the real one's test mode.

    python -m tests.fakestripe.contract http://127.0.0.1:8003 sk_test_any
    STRIPE_TEST_KEY=sk_test_… python -m tests.fakestripe.contract https://api.stripe.com

Each clause makes what it needs itself, so that an account with a history does no harm.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import stripe

Clause = Callable[[stripe.StripeClient], None]

# Real Stripe tells of disputes and events a little later.
_PATIENCE_S = 30.0
_LOOK_EVERY_S = 1.0
_MINUTE, _DAY = 60, 86_400


@contextmanager
def refused(kind: type[stripe.StripeError], code: str | None = None) -> Iterator[list[Any]]:
    """Demand that what stands inside is refused; the error is in the list afterwards."""
    errors: list[Any] = []
    try:
        yield errors
    except kind as exc:
        errors.append(exc)
    assert errors, f"{kind.__name__} was expected"
    assert code is None or errors[0].code == code, f"{errors[0].code} instead of {code}"


def eventually(look: Callable[[], Any], what: str) -> Any:
    """Return what ``look`` finds once it finds something."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(_LOOK_EVERY_S)
    return found


def customers_come_and_go(client: stripe.StripeClient) -> None:
    """A deleted customer can be read, but can no longer pay."""
    made = client.v1.customers.create({"email": "ada@example.com", "metadata": {"org": "org_1"}})
    changed = client.v1.customers.update(made.id, {"name": "Ada", "metadata": {"org": "", "plan": "payg"}})
    assert changed.to_dict()["metadata"] == {"plan": "payg"}
    assert changed.name == "Ada"

    client.v1.customers.delete(made.id)

    assert client.v1.customers.retrieve(made.id).deleted is True
    with refused(stripe.InvalidRequestError, "resource_missing"):
        client.v1.payment_intents.create({"amount": 500, "currency": "usd", "customer": made.id})


def a_customer_is_described(client: stripe.StripeClient) -> None:
    """An address that was taken away is told anew, whole; tax ids come, go, and must look like one."""
    made = client.v1.customers.create(
        {"name": "Ada", "address": {"line1": "Kai 1", "line2": "B", "country": "DE"}}
    )
    client.v1.customers.update(made.id, {"address": ""})
    after = client.v1.customers.update(made.id, {"address": {"line1": "Dock 2", "country": "GB"}})
    told: Any = after.to_dict()["address"]
    assert {name: text for name, text in told.items() if text} == {"line1": "Dock 2", "country": "GB"}

    tax_ids = client.v1.customers.tax_ids
    kept = tax_ids.create(made.id, {"type": "eu_vat", "value": "DE123456789"})
    assert [(each.type, each.value) for each in tax_ids.list(made.id).data] == [("eu_vat", "DE123456789")]
    with refused(stripe.InvalidRequestError, "tax_id_invalid"):
        tax_ids.create(made.id, {"type": "eu_vat", "value": "nonsense"})
    tax_ids.delete(made.id, kept.id)
    with refused(stripe.InvalidRequestError, "resource_missing"):
        tax_ids.delete(made.id, kept.id)
    with refused(stripe.InvalidRequestError, "email_invalid"):
        client.v1.customers.update(made.id, {"email": "nobody"})


def a_key_is_one_operation(client: stripe.StripeClient) -> None:
    """The same idempotency key gives the same object, and is no good for another one."""
    options: Any = {"idempotency_key": f"contract-{secrets.token_hex(8)}"}
    first, again = (client.v1.customers.create({"name": "Ada"}, options) for _ in range(2))
    assert first.id == again.id

    with refused(stripe.IdempotencyError):
        client.v1.customers.create({"name": "Ben"}, options)


def _saved_card(client: stripe.StripeClient, card: str) -> tuple[str, str]:
    customer = client.v1.customers.create()
    return customer.id, client.v1.payment_methods.attach(card, {"customer": customer.id}).id


def _pay(client: stripe.StripeClient, card: str, cents: int = 2_000) -> stripe.PaymentIntent:
    customer, method = _saved_card(client, card)
    return client.v1.payment_intents.create(
        {
            "amount": cents,
            "currency": "usd",
            "customer": customer,
            "payment_method": method,
            "off_session": True,
            "confirm": True,
            "metadata": {"top_up": "t_1"},
            "expand": ["latest_charge.balance_transaction"],
        }
    )


def a_saved_card_pays_while_its_owner_is_away(client: stripe.StripeClient) -> None:
    """The charge brings the amount less a fee, and an event tells of it."""
    paid = _pay(client, "pm_card_visa")
    charge: Any = paid.latest_charge
    booked = charge.balance_transaction
    assert (paid.status, paid.amount_received, paid.metadata["top_up"]) == ("succeeded", 2_000, "t_1")
    assert (booked.type, booked.source, booked.net) == ("charge", charge.id, booked.amount - booked.fee)
    assert booked.fee > 0

    def told() -> bool:
        listed = client.v1.events.list({"types": ["payment_intent.succeeded"], "limit": 20})
        return any(event.data.object["id"] == paid.id for event in listed.data)

    assert eventually(told, "the event")


def a_saved_card_may_be_declined(client: stripe.StripeClient) -> None:
    """The error names its reason, and the intent wants another card."""
    with refused(stripe.CardError, "card_declined") as errors:
        _pay(client, "pm_card_chargeCustomerFail")

    error = errors[0].error
    assert (errors[0].http_status, error.decline_code) == (402, "generic_decline")
    assert error.payment_intent.status == "requires_payment_method"


def a_bank_that_asks_is_a_decline(client: stripe.StripeClient) -> None:
    """Off session nobody can answer the bank."""
    with refused(stripe.CardError, "authentication_required"):
        _pay(client, "pm_card_authenticationRequired")


def refunds_never_exceed_their_charge(client: stripe.StripeClient) -> None:
    """Parts may be many."""
    paid = _pay(client, "pm_card_visa", 1_000)
    for cents in (300, 300):
        assert client.v1.refunds.create({"payment_intent": paid.id, "amount": cents}).status == "succeeded"

    with refused(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 401})
    client.v1.refunds.create({"payment_intent": paid.id, "amount": 400})
    with refused(stripe.InvalidRequestError, "charge_already_refunded"):
        client.v1.refunds.create({"payment_intent": paid.id})

    listed = client.v1.refunds.list({"payment_intent": paid.id})
    assert [each.amount for each in listed.data] == [400, 300, 300]


def a_dispute_takes_the_money(client: stripe.StripeClient) -> None:
    """A charge that is disputed cannot be refunded."""
    paid = _pay(client, "pm_card_createDispute")
    disputes: Any = eventually(
        lambda: client.v1.disputes.list({"payment_intent": paid.id}).data, "the dispute"
    )
    assert [each.amount for each in disputes[0].balance_transactions] == [-2_000]
    assert disputes[0].balance_transactions[0].fee > 0

    with refused(stripe.InvalidRequestError, "charge_disputed"):
        client.v1.refunds.create({"payment_intent": paid.id})


def an_inquiry_moves_nothing(client: stripe.StripeClient) -> None:
    """It has no row in the balance."""
    paid = _pay(client, "pm_card_createDisputeInquiry")
    disputes: Any = eventually(
        lambda: client.v1.disputes.list({"payment_intent": paid.id}).data, "the inquiry"
    )
    assert disputes[0].status.startswith("warning_")
    assert disputes[0].balance_transactions == []


def _checkout(client: stripe.StripeClient, **more: Any) -> stripe.checkout.Session:
    product: Any = {"name": "Credits"}
    price: Any = {"currency": "usd", "unit_amount": 1_000, "product_data": product}
    usual: Any = {
        "mode": "payment",
        "success_url": "https://example.com/thanks?session={CHECKOUT_SESSION_ID}",
        "line_items": [{"price_data": price, "quantity": 1}],
    }
    params: Any = {**usual, **more}
    return client.v1.checkout.sessions.create(params)


def a_checkout_can_be_ended(client: stripe.StripeClient) -> None:
    """Before somebody pays there is no intent; an expired session stays expired."""
    session = _checkout(
        client, client_reference_id="t_1", payment_intent_data={"metadata": {"top_up": "t_1"}}
    )
    assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 1_000)
    assert session.payment_intent is None
    assert (session.url or "").startswith("http")

    ended = client.v1.checkout.sessions.expire(session.id)

    assert (ended.status, ended.url) == ("expired", None)
    with refused(stripe.InvalidRequestError):
        client.v1.checkout.sessions.expire(session.id)


def a_checkout_refuses_what_cannot_be(client: stripe.StripeClient) -> None:
    """Endive knows no list of types, and a customer must be there to be changed."""
    for wrong, code in (
        ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported"),
        ({"customer_update": {"name": "auto"}}, None),
        ({"expires_at": int(time.time()) + _MINUTE}, None),
        ({"customer": "cus_nobody"}, "resource_missing"),
    ):
        with refused(stripe.InvalidRequestError, code):
            _checkout(client, **wrong)


def nonsense_is_named(client: stripe.StripeClient) -> None:
    """Amounts have a least, parameters a name."""
    for wrong, code in (
        ({"amount": 49, "currency": "usd"}, "amount_too_small"),
        ({"currency": "usd"}, "parameter_missing"),
        ({"amount": 500, "currency": "usd", "colour": "blue"}, "parameter_unknown"),
        ({"amount": 500, "currency": "usd", "payment_method": "pm_nobody"}, "resource_missing"),
    ):
        params: Any = wrong
        with refused(stripe.InvalidRequestError, code):
            client.v1.payment_intents.create(params)


def pages_follow_their_cursor(client: stripe.StripeClient) -> None:
    """Newest first, forwards and backwards."""
    customer, first = _saved_card(client, "pm_card_visa")
    second = client.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer}).id
    params: Any = {"customer": customer, "type": "card", "limit": 1}

    page = client.v1.payment_methods.list(params)
    every = [each.id for each in page.auto_paging_iter()]
    back: Any = {**params, "ending_before": first}
    newer = client.v1.payment_methods.list(back)

    assert (len(page.data), page.has_more) == (1, True)
    assert every == [second, first]
    assert [each.id for each in newer.data] == [second]


def a_meter_counts_each_event_once(client: stripe.StripeClient) -> None:
    """An identifier is good once, and a moment must be near."""
    name = f"contract_{secrets.token_hex(6)}"
    client.v1.billing.meters.create(
        {"display_name": name, "event_name": name, "default_aggregation": {"formula": "sum"}}
    )
    customer = client.v1.customers.create().id
    params: Any = {
        "event_name": name,
        "identifier": secrets.token_hex(8),
        "payload": {"stripe_customer_id": customer, "value": "12"},
    }
    client.v1.billing.meter_events.create(params)

    with refused(stripe.InvalidRequestError):
        client.v1.billing.meter_events.create(params)
    with refused(stripe.InvalidRequestError):
        moment = int(time.time()) - 36 * _DAY
        late: Any = {**params, "identifier": secrets.token_hex(8), "timestamp": moment}
        client.v1.billing.meter_events.create(late)


CONTRACT: tuple[Clause, ...] = (
    customers_come_and_go,
    a_customer_is_described,
    a_key_is_one_operation,
    a_saved_card_pays_while_its_owner_is_away,
    a_saved_card_may_be_declined,
    a_bank_that_asks_is_a_decline,
    refunds_never_exceed_their_charge,
    a_dispute_takes_the_money,
    an_inquiry_moves_nothing,
    a_checkout_can_be_ended,
    a_checkout_refuses_what_cannot_be,
    nonsense_is_named,
    pages_follow_their_cursor,
    a_meter_counts_each_event_once,
)


def main(arguments: list[str]) -> int:
    """Ask a Stripe all clauses; return how many it broke."""
    base, *rest = arguments
    key = rest[0] if rest else os.environ["STRIPE_TEST_KEY"]
    client = stripe.StripeClient(key, base_addresses={"api": base}, max_network_retries=2)
    broken = 0
    for clause in CONTRACT:
        try:
            clause(client)
            outcome = "holds"
        except (AssertionError, stripe.StripeError) as exc:
            broken += 1
            outcome = f"BROKEN: {exc}"
        sys.stdout.write(f"{clause.__name__.replace('_', ' ')}: {outcome}\n")
    return broken


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
