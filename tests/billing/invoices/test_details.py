"""Billing details: ours are the truth, Stripe is told of them, and what is entered at Stripe fills what is empty."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from accounts.models import Organization
from billing import checkout, customers, details, details_push, tasks
from billing.details import Address, Buyer
from billing.models import BillingDetails, StripeCustomer, TaxId, TopUpStatus
from billing.stripe_api.client import StripeUnavailable
from billing.stripe_api.customers import Entered
from tests.billing.cast import make_organization
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop
from tests.fakestripe.buying import fill_in

HAMBURG = Address("Hafenstraße 1", "Haus B", "Hamburg", "", "20457", "DE")
VAT = {"kind": "eu_vat", "value": "DE123456789"}
AS_BUSINESS: Any = {"billingCountry": "FR", "taxId": "FRAB123456789", "businessName": "Ancre SARL"}


def save(organization: Organization, **changes: Any) -> None:
    values: dict[str, Any] = {"name": "Anker GmbH", "email": "", "address": HAMBURG, "by": "user:1"}
    details.save(organization=organization, **{**values, **changes})


def at_stripe(shop: Shop) -> stripe.Customer:
    return shop.api.customers.retrieve(StripeCustomer.objects.get(deleted_at=None).stripe_id)


def stripes_tax_ids(shop: Shop) -> list[tuple[str, str]]:
    listed = shop.api.customers.tax_ids.list(StripeCustomer.objects.get(deleted_at=None).stripe_id)
    return sorted((each.type, each.value) for each in listed.data)


def test_stripe_is_told_what_was_saved_and_each_change_once(shop: Shop, ada: Organization) -> None:
    customers.customer_of(ada)
    save(ada, email="books@example.com")
    details.add_tax_id(organization=ada, **VAT, by="user:1")

    told = [details_push.push_due(), details_push.push_due()]

    customer = at_stripe(shop)
    assert told == [1, 0]
    assert (customer.name, customer.email) == ("Anker GmbH", "books@example.com")
    assert customer.address is not None
    assert (customer.address.line1, customer.address.country) == ("Hafenstraße 1", "DE")
    assert stripes_tax_ids(shop) == [("eu_vat", "DE123456789")]


def test_without_an_e_mail_of_its_own_it_is_the_owner_s(shop: Shop, ada: Organization) -> None:
    customers.customer_of(ada)
    save(ada)

    details_push.push_due()

    assert at_stripe(shop).email == "ada@example.com"
    assert Buyer.of(ada).email == "ada@example.com"


def test_what_was_taken_out_is_gone_at_stripe(shop: Shop, ada: Organization) -> None:
    customers.customer_of(ada)
    save(ada)
    details.add_tax_id(organization=ada, **VAT, by="user:1")
    details_push.push_due()
    details.remove_tax_id(organization=ada, tax_id=TaxId.objects.get().pk, by="user:1")
    details.add_tax_id(organization=ada, kind="gb_vat", value="GB123456789", by="user:1")
    save(ada, address=Address(line1="Dock 2", country="GB"))

    details_push.push_due()

    address = at_stripe(shop).address
    assert stripes_tax_ids(shop) == [("gb_vat", "GB123456789")]
    assert address is not None
    assert (address.line1, address.line2, address.city) == ("Dock 2", None, None)


def test_a_stripe_that_is_away_is_told_later(shop: Shop, ada: Organization) -> None:
    customers.customer_of(ada)
    save(ada)
    shop.fake.order("faults", {"faults": [{"status": 503}]})

    tasks.push_billing_details()
    while_away = BillingDetails.objects.get().name, StripeCustomer.objects.get().details_revision
    shop.fake.order("faults", {"faults": []})
    tasks.push_billing_details()

    assert while_away == ("Anker GmbH", 0)
    assert at_stripe(shop).name == "Anker GmbH"


@pytest.mark.parametrize("ending", ["", "/tax_ids"])
def test_an_answer_that_was_lost_does_no_harm(shop: Shop, ada: Organization, ending: str) -> None:
    path = f"/v1/customers/{customers.customer_of(ada).stripe_id}{ending}"
    save(ada)
    details.add_tax_id(organization=ada, **VAT, by="user:1")
    shop.fake.order("faults", {"faults": [{"status": 500, "path": path, "when": "after", "method": "POST"}]})

    details_push.push_due()
    shop.fake.order("faults", {"faults": []})
    details_push.push_due()

    assert at_stripe(shop).name == "Anker GmbH"
    assert stripes_tax_ids(shop) == [("eu_vat", "DE123456789")]
    assert StripeCustomer.objects.get().details_revision == BillingDetails.objects.get().revision


def test_one_customer_in_trouble_keeps_no_other_waiting(shop: Shop, ada: Organization) -> None:
    ben = make_organization("ben@example.com")
    for each in (ada, ben):
        customers.customer_of(each)
        save(each)
    trouble = StripeCustomer.objects.get(organization=ada).stripe_id
    shop.fake.order("faults", {"faults": [{"status": 500, "path": f"/v1/customers/{trouble}"}]})

    told = details_push.push_due()

    assert told == 1
    assert StripeCustomer.objects.get(organization=ben).details_revision == 1


def test_a_stripe_that_is_away_is_not_asked_for_everybody(shop: Shop, ada: Organization) -> None:
    for number in range(5):
        organization = make_organization(f"{number}@example.com")
        customers.customer_of(organization)
        save(organization)
    shop.fake.order("faults", {"faults": [{"status": 503}]})

    with pytest.raises(StripeUnavailable):
        details_push.push_due()


def test_what_stripe_refuses_is_shown_with_its_reason_and_is_not_sent_for_ever(
    shop: Shop, ada: Organization
) -> None:
    customers.customer_of(ada)
    save(ada, email="books@example")
    details.add_tax_id(organization=ada, kind="eu_vat", value="US123456789", by="user:1")
    details.add_tax_id(organization=ada, **VAT, by="user:1")

    told = [details_push.push_due(), details_push.push_due()]

    assert told == [1, 0]
    assert BillingDetails.objects.get().refusal == "Invalid email address: books@example"
    assert [each.refusal for each in TaxId.objects.order_by("pk")] == ["Invalid value for eu_vat.", ""]
    assert stripes_tax_ids(shop) == [("eu_vat", "DE123456789")]
    save(ada)
    details_push.push_due()
    assert BillingDetails.objects.get().refusal == ""
    assert at_stripe(shop).name == "Anker GmbH"


def test_a_key_that_may_not_is_not_the_customer_s_fault(shop: Shop, ada: Organization) -> None:
    customers.customer_of(ada)
    save(ada)
    shop.fake.order("faults", {"faults": [{"status": 401}]})

    details_push.push_due()

    assert (BillingDetails.objects.get().refusal, StripeCustomer.objects.get().details_revision) == ("", 0)


def test_a_new_customer_is_told_after_one_was_deleted(shop: Shop, ada: Organization, buy: Buy) -> None:
    save(ada)
    buy(1_000)
    details_push.push_due()
    shop.fake.order(f"customers/{StripeCustomer.objects.get().stripe_id}", method="DELETE")
    save(ada, name="Anker AG")

    details_push.push_due()
    forgotten = StripeCustomer.objects.filter(deleted_at=None).exists()
    paid = buy(1_000)
    details_push.push_due()

    assert (forgotten, paid.status) == (False, TopUpStatus.SUCCEEDED)
    assert at_stripe(shop).name == "Anker AG"


def test_nobody_is_told_of_an_organization_that_never_bought(shop: Shop, ada: Organization) -> None:
    save(ada)

    assert details_push.push_due() == 0


def test_stripe_s_page_asks_until_a_member_has_said_it_here(shop: Shop, ada: Organization) -> None:
    asked, _ = shop.open(ada)
    save(ada)
    told, _ = shop.open(ada)

    sessions = [shop.api.checkout.sessions.retrieve(each.stripe_session or "") for each in (asked, told)]

    assert [hasattr(each, "tax_id_collection") for each in sessions] == [True, False]
    assert {each.invoice_creation and each.invoice_creation.enabled for each in sessions} == {False}


def test_what_is_entered_on_stripe_s_page_comes_with_the_payment(shop: Shop, ada: Organization) -> None:
    checkout.follow(shop.pay(ada, **AS_BUSINESS))

    buyer = Buyer.of(ada)
    assert buyer.name == "Ancre SARL"
    assert buyer.address == ["94107", "France"]
    assert buyer.tax_ids == [["EU VAT number", "FRAB123456789"]]
    details_push.push_due()
    assert at_stripe(shop).name == "Ancre SARL"
    assert stripes_tax_ids(shop) == [("eu_vat", "FRAB123456789")]


def test_the_name_on_a_card_does_not_rename_its_company(shop: Shop, ada: Organization) -> None:
    checkout.follow(shop.pay(ada, billingName="Grace Hopper"))

    assert Buyer.of(ada).name == ada.name
    for again in range(2):
        renamed = at_stripe(shop).name
        details_push.push_due()
        assert (again, renamed, at_stripe(shop).name) == (again, "Grace Hopper", ada.name)
        checkout.follow(shop.pay(ada, billingName="Grace Hopper"))


def test_a_later_payment_fills_in_and_takes_nothing_away(shop: Shop, ada: Organization) -> None:
    checkout.follow(shop.pay(ada, **AS_BUSINESS))
    checkout.follow(shop.pay(ada, billingCountry="GB", billingPostalCode="E1 6AN"))

    buyer = Buyer.of(ada)
    assert (buyer.name, buyer.address) == ("Ancre SARL", ["E1 6AN", "United Kingdom"])
    assert buyer.tax_ids == [["EU VAT number", "FRAB123456789"]]


def test_what_a_member_has_saved_meanwhile_stands(shop: Shop, ada: Organization) -> None:
    top_up, url = shop.open(ada)
    save(ada)
    details_push.push_due()
    assert fill_in(shop.fake, url, 1_000, **AS_BUSINESS).status_code == 303

    checkout.follow(top_up)

    renamed = at_stripe(shop).name
    details_push.push_due()
    assert Buyer.of(ada).name == "Anker GmbH"
    assert not TaxId.objects.exists()
    assert (renamed, at_stripe(shop).name, stripes_tax_ids(shop)) == ("Ancre SARL", "Anker GmbH", [])


def test_a_payment_that_is_seen_again_brings_nothing_back(shop: Shop, ada: Organization) -> None:
    paid = checkout.follow(shop.pay(ada, **AS_BUSINESS))
    BillingDetails.objects.update(name="Changed")

    checkout.follow(paid)

    assert Buyer.of(ada).name == "Changed"
    assert BillingDetails.objects.get().revision == 1


def test_what_is_saved_while_a_payment_is_read_stands(ada: Organization) -> None:
    save(ada)

    details.take_over(ada, Entered("Ancre SARL", {"country": "FR"}, (("eu_vat", "FRAB123456789"),)))

    assert (Buyer.of(ada).name, TaxId.objects.exists()) == ("Anker GmbH", False)
    assert BillingDetails.objects.get().revision == 2


def test_no_more_tax_ids_are_kept_than_there_is_room_for(ada: Organization) -> None:
    for number in range(details.MOST_TAX_IDS):
        details.add_tax_id(organization=ada, kind="eu_vat", value=f"DE12345678{number}", by="user:1")

    details.add_tax_id(organization=ada, kind="eu_vat", value="DE123456780", by="user:1")
    with pytest.raises(details.TooManyTaxIds):
        details.add_tax_id(organization=ada, **VAT, by="user:1")

    assert TaxId.objects.count() == details.MOST_TAX_IDS
    assert BillingDetails.objects.get().revision == details.MOST_TAX_IDS


def test_a_tax_id_of_another_cannot_be_removed(ada: Organization) -> None:
    details.add_tax_id(organization=ada, **VAT, by="user:1")

    with pytest.raises(details.UnknownTaxId):
        details.remove_tax_id(
            organization=make_organization("ben@example.com"), tax_id=TaxId.objects.get().pk, by="user:2"
        )

    assert TaxId.objects.exists()
