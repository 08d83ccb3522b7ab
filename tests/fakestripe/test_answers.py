"""What every operation has in common: keys, lists, searches, expansion, idempotency, errors."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import stripe

from tests.fakestripe.buying import charge_now, kinds_of, start_checkout
from tests.fakestripe.running import KEY, RunningStripe


@pytest.mark.parametrize("key", ["sk_live_secret", "rk_live_secret", "pk_test_mine", "nonsense"])
def test_only_test_keys_are_let_in(fake: RunningStripe, key: str) -> None:
    answer = fake.browser.get(f"{fake.base_url}/v1/customers", headers={"authorization": f"Bearer {key}"})

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "secret" not in answer.text


def test_a_key_may_come_as_a_user_name(fake: RunningStripe) -> None:
    user = base64.b64encode(f"{KEY}:".encode()).decode()
    url = f"{fake.base_url}/v1/customers"

    assert fake.browser.get(url, headers={"authorization": f"Basic {user}"}).status_code == 200
    assert fake.browser.get(url).status_code == 401


def test_an_unknown_path_is_told_of(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL") as refused:
        client.raw_request("get", "/v1/payouts_of_others")

    assert refused.value.http_status == 404


def test_lists_are_read_page_by_page(client: stripe.StripeClient) -> None:
    made = [client.v1.customers.create({"name": str(number)}).id for number in range(7)]

    forwards = [each.id for each in client.v1.customers.list({"limit": 3}).auto_paging_iter()]
    after = client.v1.customers.list({"limit": 2, "starting_after": made[4]})
    before = client.v1.customers.list({"limit": 2, "ending_before": made[2]})
    backwards = client.v1.customers.list({"limit": 2, "ending_before": made[0]}).auto_paging_iter()

    assert forwards == made[::-1]
    assert ([each.id for each in after.data], after.has_more) == ([made[3], made[2]], True)
    assert ([each.id for each in before.data], before.has_more) == ([made[4], made[3]], True)
    assert [each.id for each in backwards] == made[1:]
    assert after.url == "/v1/customers"


@pytest.mark.parametrize("limit", [0, 101])
def test_a_page_has_its_bounds(client: stripe.StripeClient, limit: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.customers.list({"limit": limit})

    assert refused.value.param == "limit"


def test_lists_are_read_by_time(fake: RunningStripe, client: stripe.StripeClient) -> None:
    old = client.v1.customers.create()
    fake.order("clock", {"advance_s": 100})
    new = client.v1.customers.create()

    since = client.v1.customers.list({"created": {"gte": new.created}})
    until = client.v1.customers.list({"created": {"lt": new.created}})

    assert [each.id for each in since.data] == [new.id]
    assert [each.id for each in until.data] == [old.id]


def test_searches_read_metadata_and_fields(client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create({"email": "ada@example.com", "metadata": {"org": "org_1"}})
    ben = client.v1.customers.create({"email": "ben@example.com", "metadata": {"org": "org_2"}})

    def found(query: str) -> list[str]:
        return [each.id for each in client.v1.customers.search({"query": query}).data]

    assert found("metadata['org']:'org_2'") == [ben.id]
    assert found('email~"example" AND -metadata["org"]:"org_2"') == [ada.id]
    assert found("metadata['org']:'org_1' OR email:'ben@example.com'") == [ben.id, ada.id]
    assert found("email:'nobody'") == []
    with pytest.raises(stripe.InvalidRequestError, match="unable to parse"):
        found("org is org_1")


def test_payments_are_found_by_what_they_are_for(client: stripe.StripeClient) -> None:
    mine = charge_now(client, metadata={"top_up": "t_1"})
    charge_now(client, metadata={"top_up": "t_2"})

    query = "metadata['top_up']:'t_1' AND status:'succeeded'"
    found = client.v1.payment_intents.search({"query": query})

    assert [each.id for each in found.data] == [mine.id]


def test_ids_are_expanded_to_what_they_name(client: stripe.StripeClient) -> None:
    ada = client.v1.customers.create(
        {"name": "Ada", "tax_id_data": [{"type": "eu_vat", "value": "DE123456789"}]}
    )
    intent = charge_now(
        client, customer=ada.id, expand=["customer.tax_ids", "latest_charge.balance_transaction"]
    )
    listed = client.v1.charges.list({"expand": ["data.customer"]})

    customer: Any = intent.customer
    charge: Any = intent.latest_charge
    first: Any = listed.data[0].customer
    assert customer.tax_ids.data[0].value == "DE123456789"
    assert charge.balance_transaction.amount == 2_000
    assert first.name == "Ada"
    assert client.v1.payment_intents.retrieve(intent.id).customer == ada.id
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.customers.retrieve(ada.id, {"expand": ["colour"]})


def test_the_same_key_gets_the_same_answer(client: stripe.StripeClient) -> None:
    first, again = (client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k_1"}) for _ in range(2))

    assert first.id == again.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert len(client.v1.customers.list().data) == 1
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        client.v1.customers.create({"name": "Ben"}, {"idempotency_key": "k_1"})
    events = client.v1.events.list().data
    assert [(each.request.idempotency_key) for each in events if each.request] == ["k_1"]


def test_a_decline_is_remembered_and_a_typing_error_is_not(client: stripe.StripeClient) -> None:
    declined: Any = {
        "amount": 100,
        "currency": "usd",
        "payment_method": "pm_card_chargeDeclined",
        "confirm": True,
        "return_url": "http://127.0.0.1:9/back",
    }
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            client.v1.payment_intents.create(declined, {"idempotency_key": "k_declined"})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.create({"amount": 1, "currency": "usd"}, {"idempotency_key": "k_typo"})
    made = client.v1.payment_intents.create({"amount": 100, "currency": "usd"}, {"idempotency_key": "k_typo"})

    assert made.amount == 100
    assert kinds_of(client).count("payment_intent.payment_failed") == 1


def test_a_key_is_forgotten_after_a_day(fake: RunningStripe, client: stripe.StripeClient) -> None:
    first = client.v1.customers.create(options={"idempotency_key": "k_1"})
    fake.order("clock", {"advance_s": 86_401})
    second = client.v1.customers.create(options={"idempotency_key": "k_1"})

    assert first.id != second.id


def test_events_are_read_by_type(client: stripe.StripeClient) -> None:
    charge_now(client)
    ada = client.v1.customers.create()
    client.v1.customers.delete(ada.id)

    two = client.v1.events.list({"types": ["charge.succeeded", "customer.deleted"]})
    some = client.v1.events.list({"type": "customer.*"})

    assert [each.type for each in two.data] == ["customer.deleted", "charge.succeeded"]
    assert [each.type for each in some.data] == ["customer.deleted", "customer.created"]
    assert client.v1.events.retrieve(two.data[0].id).data.object["id"] == ada.id


def test_old_rules_hold_for_old_versions(fake: RunningStripe) -> None:
    old = fake.client()

    def create(**params: Any) -> stripe.PaymentIntent:
        options: Any = {"stripe_version": "2025-03-31.basil"}
        wanted: Any = {"amount": 100, "currency": "usd", **params}
        return old.v1.payment_intents.create(wanted, options)

    assert create(payment_method_types=["card"]).payment_method_types == ["card"]
    with pytest.raises(stripe.InvalidRequestError, match="allowed_payment_method_types"):
        create(allowed_payment_method_types=["card"])


def test_every_list_names_itself(client: stripe.StripeClient) -> None:
    session = start_checkout(client)
    ada = client.v1.customers.create()

    assert (
        client.v1.checkout.sessions.line_items.list(session.id).url
        == f"/v1/checkout/sessions/{session.id}/line_items"
    )
    assert client.v1.customers.payment_methods.list(ada.id).url == f"/v1/customers/{ada.id}/payment_methods"
    assert client.v1.customers.tax_ids.list(ada.id).url == f"/v1/customers/{ada.id}/tax_ids"
    assert client.v1.balance_transactions.list().url == "/v1/balance_transactions"
