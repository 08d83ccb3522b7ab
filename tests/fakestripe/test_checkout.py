"""The hosted page: what a customer sees, fills in and gets back to."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.fakestripe.buying import ASKS_ALWAYS, IS_POOR, fill_in, kinds_of, start_checkout
from tests.fakestripe.running import RunningStripe


def test_the_page_shows_the_amount_and_takes_a_card(fake: RunningStripe, client: stripe.StripeClient) -> None:
    session = start_checkout(client, 1_234, payment_intent_data={"metadata": {"top_up": "t_1"}})

    page = fake.browser.get(session.url or "").text
    paid = fill_in(fake, session.url, 1_234)
    after = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})

    assert "$12.34" in page
    assert "<script" not in page
    assert (paid.status_code, paid.headers["location"]) == (
        303,
        f"http://127.0.0.1:9/thanks?session={session.id}",
    )
    assert (after.status, after.payment_status, after.url) == ("complete", "paid", None)
    intent: Any = after.payment_intent
    assert (intent.status, intent.amount_received, intent.metadata["top_up"]) == ("succeeded", 1_234, "t_1")
    assert session.payment_intent is None
    assert kinds_of(client)[-3:] == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


def test_a_declined_card_is_told_of_and_another_may_be_tried(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    session = start_checkout(client)

    declined = fill_in(fake, session.url, cardNumber=IS_POOR)
    paid = fill_in(fake, session.url)
    listed = client.v1.payment_intents.list()

    assert declined.status_code == 402
    assert "Your card has insufficient funds." in declined.text
    assert 'value="Ada Lovelace"' in declined.text
    assert ">123<" not in declined.text
    assert paid.status_code == 303
    assert [each.status for each in listed.data] == ["succeeded"]


def test_a_paid_session_cannot_be_paid_twice(fake: RunningStripe, client: stripe.StripeClient) -> None:
    session = start_checkout(client)
    fill_in(fake, session.url)

    again = fill_in(fake, session.url)

    assert again.status_code == 409
    assert "already paid" in again.text
    assert len(client.v1.charges.list().data) == 1


def test_a_bank_may_ask_its_customer_first(fake: RunningStripe, client: stripe.StripeClient) -> None:
    session = start_checkout(client)

    asked = fill_in(fake, session.url, cardNumber=ASKS_ALWAYS)
    refused = fake.browser.post(asked.headers["location"], data={"answer": "refuse"})
    back = fake.browser.get(refused.headers["location"])
    asked = fill_in(fake, session.url, cardNumber=ASKS_ALWAYS)
    approved = fake.browser.post(asked.headers["location"], data={"answer": "approve"})

    assert "unable to authenticate" in back.text
    assert approved.headers["location"].endswith(session.id)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_a_card_is_saved_for_later(fake: RunningStripe, client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create({"email": "ada@example.com"})
    session = start_checkout(
        client, customer=ada.id, payment_intent_data={"setup_future_usage": "off_session"}
    )

    fill_in(fake, session.url)
    cards = client.v1.customers.payment_methods.list(ada.id)
    later = client.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "usd",
            "customer": ada.id,
            "payment_method": cards.data[0].id,
            "off_session": True,
            "confirm": True,
        }
    )

    assert [each.card.last4 for each in cards.data if each.card] == ["4242"]
    assert later.status == "succeeded"


def test_a_card_is_saved_without_a_payment(fake: RunningStripe, client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create()
    session = client.v1.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "customer": ada.id, "success_url": "http://127.0.0.1:9/saved"}
    )

    page = fake.browser.get(session.url or "").text
    saved = fill_in(fake, session.url, 0)
    after = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent.payment_method"]})

    assert "No charge today" in page
    assert saved.headers["location"] == "http://127.0.0.1:9/saved"
    intent: Any = after.setup_intent
    assert (after.payment_status, intent.status) == ("no_payment_required", "succeeded")
    assert intent.payment_method.customer == ada.id
    assert "setup_intent.succeeded" in kinds_of(client)


def test_a_payment_may_take_its_time(fake: RunningStripe, client: stripe.StripeClient) -> None:
    first, second = start_checkout(client), start_checkout(client)

    for session in (first, second):
        fill_in(fake, session.url, paymentKind="us_bank_account")
    waiting = [client.v1.checkout.sessions.retrieve(each.id) for each in (first, second)]
    fake.order(f"payments/{waiting[0].payment_intent}", {"status": "succeeded"})
    fake.order(f"payments/{waiting[1].payment_intent}", {"status": "failed"})
    after = [
        client.v1.checkout.sessions.retrieve(each.id, {"expand": ["payment_intent"]}) for each in waiting
    ]

    assert [(each.status, each.payment_status) for each in waiting] == [("complete", "unpaid")] * 2
    assert [each.payment_status for each in after] == ["paid", "unpaid"]
    assert [
        each.payment_intent.status for each in after if isinstance(each.payment_intent, stripe.PaymentIntent)
    ] == [
        "succeeded",
        "requires_payment_method",
    ]
    assert [kind for kind in kinds_of(client) if "async" in kind] == [
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
    ]


def test_an_invoice_and_its_pdf_come_with_a_payment(fake: RunningStripe, client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create({"name": "Ada"})
    session = start_checkout(
        client,
        customer=ada.id,
        customer_update={"address": "auto", "name": "auto"},
        tax_id_collection={"enabled": True},
        automatic_tax={"enabled": True},
        invoice_creation={"enabled": True, "invoice_data": {"metadata": {"top_up": "t_1"}}},
    )
    details = {"billingCountry": "FR", "taxId": "FRAB123456789"}

    untaxed = fill_in(fake, session.url, **details)
    after = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["invoice"]})
    invoice: Any = after.invoice

    assert untaxed.status_code == 303, untaxed.text
    assert (invoice.status, invoice.total, invoice.metadata["top_up"]) == ("paid", 1_000, "t_1")
    assert fake.browser.get(invoice.invoice_pdf).content.startswith(b"%PDF")
    assert invoice.number in fake.browser.get(invoice.hosted_invoice_url).text
    assert [each.value for each in client.v1.customers.tax_ids.list(ada.id).data] == ["FRAB123456789"]
    assert client.v1.customers.retrieve(ada.id).name == "Ada Lovelace"


def test_a_business_is_called_by_its_name_and_its_tax_id_must_look_like_one(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    ada = client.v1.customers.create({"name": "Ada"})
    session = start_checkout(
        client, customer=ada.id, customer_update={"name": "auto"}, tax_id_collection={"enabled": True}
    )
    business = {"billingCountry": "FR", "businessName": "Ancre SARL"}

    refused = fill_in(fake, session.url, taxId="12", **business)
    paid = fill_in(fake, session.url, taxId="FRAB123456789", **business)
    after = client.v1.checkout.sessions.retrieve(session.id)
    found = client.v1.checkout.sessions.list({"payment_intent": str(after.payment_intent)}).data

    assert (refused.status_code, "Invalid value for eu_vat." in refused.text) == (402, True)
    assert paid.status_code == 303, paid.text
    assert after.customer_details is not None
    assert after.customer_details.name == client.v1.customers.retrieve(ada.id).name == "Ancre SARL"
    assert [each.id for each in found] == [session.id]


def test_tax_is_shown_before_it_is_paid(fake: RunningStripe, client: stripe.StripeClient) -> None:
    session = start_checkout(client, automatic_tax={"enabled": True}, billing_address_collection="required")
    where = {"billingCountry": "DE", "billingAddressLine1": "Weg 1", "billingLocality": "Bonn"}

    asked = fill_in(fake, session.url, **where)
    paid = fill_in(fake, session.url, 1_190, **where)
    after = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]})

    assert asked.status_code == 200
    assert "$11.90" in asked.text
    assert paid.status_code == 303
    assert (after.amount_subtotal, after.amount_total) == (1_000, 1_190)
    assert after.total_details is not None
    assert after.total_details.amount_tax == 190


def test_a_session_ends_by_order_and_by_the_clock(fake: RunningStripe, client: stripe.StripeClient) -> None:
    first, second = start_checkout(client), start_checkout(client)

    client.v1.checkout.sessions.expire(first.id)
    fake.order("clock", {"advance_s": 86_401})

    assert fill_in(fake, first.url).status_code == fill_in(fake, second.url).status_code == 410
    assert kinds_of(client).count("checkout.session.expired") == 2
    with pytest.raises(stripe.InvalidRequestError, match="status of expired"):
        client.v1.checkout.sessions.expire(second.id)


def test_nobody_pays_for_a_deleted_customer(fake: RunningStripe, client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create()
    session = start_checkout(client, customer=ada.id)
    fake.order(f"customers/{ada.id}", method="DELETE")

    refused = fill_in(fake, session.url)

    assert refused.status_code == 402
    assert "No such customer" in refused.text
    assert client.v1.charges.list().data == []


def test_an_expired_session_leaves_nothing_to_be_paid(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    session = start_checkout(client)
    fill_in(fake, session.url, cardNumber=IS_POOR)

    client.v1.checkout.sessions.expire(session.id)

    assert [each.status for each in client.v1.payment_intents.list().data] == ["canceled"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types"),
        ({"customer_update": {"name": "auto"}}, "customer_update"),
        ({"expires_at": 1}, "expires_at"),
        ({"success_url": ""}, "success_url"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0][price]"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    client: stripe.StripeClient, changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        start_checkout(client, **changes)

    assert refused.value.param == param
    assert client.v1.checkout.sessions.list().data == []
