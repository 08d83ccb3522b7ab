"""What is kept beside payments: customers and their cards, products, invoices, meters."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe

from fastanchor.local.fakestripe.routes import ROUTES
from tests.fakestripe.buying import PAYS, charge_now, kinds_of
from tests.fakestripe.running import RunningStripe
from tests.fakestripe.spoken import OPERATIONS

_DAY = 86_400


def test_every_operation_of_the_document_is_answered() -> None:
    unlisted = {name for name in ROUTES if "payment_pages" in name}

    assert set(ROUTES) - unlisted == set(OPERATIONS)


def test_a_customer_is_changed_field_by_field(client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create(
        {"name": "Ada", "email": "ada@example.com", "metadata": {"org": "org_1", "plan": "free"}}
    )

    client.v1.customers.update(
        ada.id, {"metadata": {"plan": "payg", "org": ""}, "phone": "+1", "name": "Ada L."}
    )
    changed = client.v1.customers.retrieve(ada.id)
    event: Any = client.v1.events.list({"type": "customer.updated"}).data[0]

    assert (changed.name, changed.phone, changed.email) == ("Ada L.", "+1", "ada@example.com")
    assert changed.to_dict()["metadata"] == {"plan": "payg"}
    assert event.data.previous_attributes["name"] == "Ada"


def test_tax_ids_come_and_go(client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create()
    made = client.v1.customers.tax_ids.create(ada.id, {"type": "gb_vat", "value": "GB123456789"})

    read = client.v1.customers.tax_ids.retrieve(ada.id, made.id)
    gone = client.v1.customers.tax_ids.delete(ada.id, made.id)

    assert (read.value, read.country) == ("GB123456789", "GB")
    assert gone.deleted is True
    assert client.v1.customers.tax_ids.list(ada.id).data == []
    assert kinds_of(client)[-2:] == ["customer.tax_id.created", "customer.tax_id.deleted"]


def test_a_card_comes_by_number(client: stripe.StripeClient) -> None:
    method = client.v1.payment_methods.create(
        {"type": "card", "card": {"number": PAYS, "exp_month": 4, "exp_year": 2040, "cvc": "123"}}
    )

    assert method.card is not None
    assert (method.card.brand, method.card.last4, method.card.exp_year) == ("visa", "4242", 2040)


@pytest.mark.parametrize(
    ("number", "year", "code"),
    [
        ("4242424242424241", 2040, "incorrect_number"),
        ("4111111111111111", 2040, "card_declined"),
        (PAYS, 2020, "invalid_expiry_year"),
    ],
)
def test_a_wrong_number_is_told_of(client: stripe.StripeClient, number: str, year: int, code: str) -> None:
    with pytest.raises(stripe.CardError) as refused:
        client.v1.payment_methods.create(
            {"type": "card", "card": {"number": number, "exp_month": 4, "exp_year": year, "cvc": "123"}}
        )

    assert refused.value.code == code


def test_a_card_is_changed_and_detached_for_good(client: stripe.StripeClient) -> None:
    ada, ben = client.v1.customers.create(), client.v1.customers.create()
    card = client.v1.payment_methods.attach("pm_card_mastercard", {"customer": ada.id}).id
    client.v1.customers.update(ada.id, {"invoice_settings": {"default_payment_method": card}})

    client.v1.payment_methods.update(card, {"card": {"exp_year": 2041}, "metadata": {"is_mine": "yes"}})
    changed = client.v1.customers.payment_methods.retrieve(ada.id, card)
    client.v1.payment_methods.detach(card)

    assert changed.card is not None
    assert changed.card.exp_year == 2041
    assert client.v1.payment_methods.list({"customer": ada.id}).data == []
    settings = client.v1.customers.retrieve(ada.id).invoice_settings
    assert settings is not None
    assert settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        client.v1.payment_methods.attach(card, {"customer": ben.id})
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        charge_now(client, card)


def test_nobody_pays_with_anothers_card(client: stripe.StripeClient) -> None:
    ada, ben = client.v1.customers.create(), client.v1.customers.create()
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": ada.id}).id

    with pytest.raises(stripe.InvalidRequestError, match="must be attached to the customer"):
        charge_now(client, card, customer=ben.id)
    with pytest.raises(stripe.InvalidRequestError, match="include the Customer"):
        charge_now(client, card)

    assert client.v1.charges.list().data == []


def test_products_have_prices(client: stripe.StripeClient) -> None:
    product = client.v1.products.create({"name": "Credits", "metadata": {"kind": "top_up"}})
    price = client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 500, "lookup_key": "five"}
    )

    found = client.v1.prices.list({"lookup_keys": ["five"]})
    client.v1.prices.update(price.id, {"active": False})
    client.v1.products.update(product.id, {"name": "Credit"})

    assert [each.id for each in found.data] == [price.id]
    assert client.v1.prices.retrieve(price.id).active is False
    assert client.v1.products.retrieve(product.id).name == "Credit"
    with pytest.raises(stripe.InvalidRequestError, match="user-created prices"):
        client.v1.products.delete(product.id)


def test_an_invoice_of_items_is_paid_by_card(client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create({"payment_method": "pm_card_visa"})
    card = client.v1.customers.payment_methods.list(ada.id).data[0].id
    for cents in (300, 450):
        client.v1.invoice_items.create({"customer": ada.id, "currency": "usd", "amount": cents})
    draft = client.v1.invoices.create({"customer": ada.id, "pending_invoice_items_behavior": "include"})

    paid = client.v1.invoices.pay(draft.id, {"payment_method": card})
    lines = client.v1.invoices.line_items.list(draft.id)

    assert (draft.status, draft.total, draft.number) == ("draft", 750, None)
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 750, 0)
    assert paid.number is not None
    assert [line.amount for line in lines.data] == [300, 450]
    assert [each.amount for each in client.v1.balance_transactions.list().data] == [750]


def test_a_receipt_is_a_page(fake: RunningStripe, client: stripe.StripeClient) -> None:
    intent = charge_now(client, cents=1_234, description="Credits", expand=["latest_charge"])
    charge: Any = intent.latest_charge

    page = fake.browser.get(charge.receipt_url)

    assert page.status_code == 200
    assert "$12.34" in page.text
    assert fake.browser.get(f"{fake.base_url}/receipts/ch_none").status_code == 404


def _meter(client: stripe.StripeClient, formula: Any = "sum") -> stripe.billing.Meter:
    return client.v1.billing.meters.create(
        {"display_name": "Usage", "event_name": "usage", "default_aggregation": {"formula": formula}}
    )


def _count(client: stripe.StripeClient, customer: str, value: str, identifier: str, **more: Any) -> None:
    payload = {"stripe_customer_id": customer, "value": value}
    params: Any = {"event_name": "usage", "identifier": identifier, "payload": payload, **more}
    client.v1.billing.meter_events.create(params)


def _total(client: stripe.StripeClient, meter: str, customer: str) -> list[float]:
    now = int(time.time()) // 60 * 60
    listed = client.v1.billing.meters.event_summaries.list(
        meter, {"customer": customer, "start_time": now - 3 * _DAY, "end_time": now + 3 * _DAY}
    )
    return [each.aggregated_value for each in listed.data]


def test_a_meter_sums_up_what_each_customer_used(client: stripe.StripeClient) -> None:
    meter = _meter(client).id
    _count(client, "cus_1", "100", "e_1")
    _count(client, "cus_1", "23", "e_2")
    _count(client, "cus_2", "7", "e_3")

    assert _total(client, meter, "cus_1") == [123]
    assert _total(client, meter, "cus_2") == [7]
    assert _total(client, meter, "cus_3") == []


def test_an_identifier_counts_once_a_day_and_again_later(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    meter = _meter(client).id
    _count(client, "cus_1", "100", "e_1")

    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        _count(client, "cus_1", "100", "e_1")
    fake.order("clock", {"advance_s": _DAY + 3_600})
    _count(client, "cus_1", "100", "e_1")

    assert _total(client, meter, "cus_1") == [200]


@pytest.mark.parametrize(
    ("value", "seconds_ago"),
    [("1234567890123456", 0), ("many", 0), ("1", 36 * _DAY), ("1", -600)],
    ids=["sixteen digits", "no number", "too old", "in the future"],
)
def test_what_no_meter_takes(client: stripe.StripeClient, value: str, seconds_ago: int) -> None:
    meter = _meter(client).id

    with pytest.raises(stripe.InvalidRequestError):
        _count(client, "cus_1", value, "e_1", timestamp=int(time.time()) - seconds_ago)

    assert _total(client, meter, "cus_1") == []


def test_a_meter_is_grouped_by_day_and_an_event_taken_back(client: stripe.StripeClient) -> None:
    meter = _meter(client).id
    today = int(time.time()) // _DAY * _DAY
    for days, identifier in ((0, "e_0"), (1, "e_1"), (1, "e_2")):
        _count(client, "cus_1", "5", identifier, timestamp=today - days * _DAY)

    client.v1.billing.meter_event_adjustments.create(
        {"event_name": "usage", "type": "cancel", "cancel": {"identifier": "e_2"}}
    )
    days_used = client.v1.billing.meters.event_summaries.list(
        meter,
        {
            "customer": "cus_1",
            "start_time": today - 2 * _DAY,
            "end_time": today + _DAY,
            "value_grouping_window": "day",
        },
    )

    assert [(each.start_time, each.aggregated_value) for each in days_used.data] == [
        (today, 5),
        (today - _DAY, 5),
    ]


def test_an_inactive_meter_takes_nothing(client: stripe.StripeClient) -> None:
    meter = _meter(client).id
    client.v1.billing.meters.deactivate(meter)

    with pytest.raises(stripe.InvalidRequestError, match="No active meter"):
        _count(client, "cus_1", "1", "e_1")
    client.v1.billing.meters.reactivate(meter)
    _count(client, "cus_1", "1", "e_1")

    assert _total(client, meter, "cus_1") == [1]
