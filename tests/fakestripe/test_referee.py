"""The referee sees what breaks Stripe's document, or its silence would prove nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import stripe

from fastanchor.local.fakestripe.errors import StripeError
from fastanchor.local.fakestripe.form import parse
from fastanchor.local.fakestripe.parameters import read
from tests.fakestripe.buying import charge_now
from tests.fakestripe.referee import Referee, faults, operation_of
from tests.fakestripe.running import RunningStripe

_INTENT = {"$ref": "#/components/schemas/payment_intent"}


@pytest.fixture
def intent(client: stripe.StripeClient) -> dict[str, Any]:
    """Return a payment as it was answered."""
    return charge_now(client).to_dict()


def test_what_the_fake_answers_is_flawless(intent: dict[str, Any]) -> None:
    assert faults(_INTENT, intent) == []


@pytest.mark.parametrize(
    "flaw",
    [
        {"amount": "12"},
        {"status": "paid"},
        {"livemode": None},
        {"colour": "blue"},
        {"next_action": {"kind": "none"}},
        {"latest_charge": 7},
        {"last_payment_error": {"type": "bad_luck"}},
    ],
    ids=lambda flaw: next(iter(flaw)),
)
def test_a_flaw_is_seen(intent: dict[str, Any], flaw: dict[str, Any]) -> None:
    found = faults(_INTENT, {**intent, **flaw})

    assert len(found) == 1
    assert next(iter(flaw)) in found[0]


def test_a_missing_field_is_seen(intent: dict[str, Any]) -> None:
    del intent["created"]

    assert "created" in faults(_INTENT, intent)[0]


async def _nothing(*_: Any) -> None:
    """Answer nobody."""


def test_an_event_of_no_type_and_a_flaw_inside_one_are_seen(client: stripe.StripeClient) -> None:
    client.v1.customers.create()
    event = client.v1.events.list().data[0].to_dict()
    strange, flawed = copy.deepcopy(event), copy.deepcopy(event)
    strange["type"] = "customer.married"
    flawed["data"]["object"]["balance"] = "much"
    referee = Referee(_nothing)

    for each in (event, strange, flawed):
        referee.judge_event(each)

    assert len(referee.faults) == 2
    assert referee.faults[0] == "customer.married: is no type of event"
    assert "balance" in referee.faults[1]


def test_every_call_is_looked_at(fake: RunningStripe, client: stripe.StripeClient) -> None:
    before = fake.referee.objects

    client.v1.customers.create()
    client.v1.customers.list()

    assert fake.referee.objects == before + 2
    assert operation_of("GET /v1/customers/search") == "GET /v1/customers/search"
    assert operation_of("GET /v1/customers/cus_1") == "GET /v1/customers/{customer}"
    assert operation_of("GET /v1/nothing") is None


@pytest.mark.parametrize(
    ("form", "tree"),
    [
        ("a=1&b[c]=2&b[d]=3", {"a": "1", "b": {"c": "2", "d": "3"}}),
        ("a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
        ("a[0][b]=1&a[1][b]=2", {"a": {"0": {"b": "1"}, "1": {"b": "2"}}}),
        ("a[][b]=1&a[][c]=2&a[][b]=3", {"a": {"0": {"b": "1", "c": "2"}, "1": {"b": "3"}}}),
        ("a=&b=%26%20%C3%BC", {"a": "", "b": "& ü"}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
    ],
)
def test_brackets_become_trees(form: str, tree: dict[str, Any]) -> None:
    assert parse(form) == tree


def test_texts_become_what_the_document_says() -> None:
    form = "mode=payment&line_items[0][quantity]=2&line_items[0][price]=price_1&automatic_tax[enabled]=true&metadata[n]=5"

    params = read("POST /v1/checkout/sessions", parse(form), is_endive=True)

    assert params["line_items"] == [{"quantity": 2, "price": "price_1"}]
    assert params["automatic_tax"] == {"enabled": True}
    assert params["metadata"] == {"n": "5"}


@pytest.mark.parametrize(
    ("form", "param"),
    [
        (
            "line_items[0][price_data][currency]=usd&line_items[0][price_data][unit_amount]=1.5",
            "line_items[0][price_data][unit_amount]",
        ),
        ("line_items[0][price_data][colour]=blue", "line_items[0][price_data][colour]"),
        ("automatic_tax[enabled]=yes", "automatic_tax[enabled]"),
        ("customer_update[name]=always", "customer_update[name]"),
        ("line_items=1", "line_items"),
        ("mode[x]=1", "mode"),
        ("client_reference_id=" + "x" * 201, "client_reference_id"),
    ],
)
def test_a_wrong_parameter_is_named_at_any_depth(form: str, param: str) -> None:
    with pytest.raises(StripeError) as refused:
        read("POST /v1/checkout/sessions", parse(form), is_endive=True)

    assert refused.value.fields["param"].startswith(param)
