"""Invoices and the details they bear, as their owner sees them."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import organizations
from accounts.models import Organization
from billing import details, statements
from billing.details import Address
from billing.models import BillingDetails, Invoice, StripeCustomer, TaxId, TopUp
from billing.months import Month
from tests.pages.markup import faults, words
from tests.pages.pdf import text_of
from tests.pages.stripe import Card, page_of

FILLED_IN = {
    "name": "Łódź Anchor Sp. z o.o.",
    "line1": "ul. Portowa 1",
    "line2": "",
    "postal_code": "90-001",
    "city": "Łódź",
    "state": "",
    "country": "PL",
    "email": "books@example.com",
}
VAT = {"tax-kind": "eu_vat", "tax-value": "pl 123-456-32-18"}


def shown(browser: Client, name: str) -> str:
    return words(browser.get(reverse(f"billing:{name}")).content.decode())


def describe(browser: Client) -> None:
    assert browser.post(reverse("billing:save-details"), FILLED_IN).status_code == 302
    assert browser.post(reverse("billing:add-tax-id"), VAT).status_code == 302


def paper(browser: Client, number: str) -> str:
    response = browser.get(reverse("billing:invoice", args=[number]))
    assert response["Content-Type"] == "application/pdf"
    return text_of(response.content)


def test_details_are_saved_shown_and_stand_on_every_paper(card: Card, settings: Settings) -> None:
    settings.SELLER_NAME, settings.SELLER_TAX_ID = "Anchor Ltd", "GB999999999"
    settings.SELLER_ADDRESS, settings.INVOICE_NOTE = ["Dock 1", "London"], "Reverse charge."
    describe(card.browser)
    top_up = card.buy("12.34")
    number = Invoice.objects.get().number

    invoice = paper(card.browser, number)
    receipt = text_of(card.browser.get(reverse("billing:receipt", args=[top_up.pk])).content)
    month = Month.of(timezone.now())
    statement = text_of(card.browser.get(reverse("billing:statement", args=[month.code])).content)

    buyer = "Customer Łódź Anchor Sp. z o.o. ul. Portowa 1 90-001 Łódź Poland EU VAT number PL1234563218"
    assert f"Invoice {number}" in invoice
    assert "Seller Anchor Ltd Dock 1 London Seller’s tax id GB999999999" in invoice
    assert "FastAnchor credit, prepaid $12.34 Tax: none is charged $0.00 Total $12.34" in invoice
    assert f"Paid at Stripe, {top_up.stripe_intent}, {timezone.now():%Y-%m-%d}" in invoice
    assert "Reverse charge." in invoice
    for each in (invoice, receipt, statement):
        assert buyer in each
        assert "E-mail books@example.com" in each
    assert f"Invoice {number}" in receipt


def test_a_paper_stays_as_it_was_when_the_details_change(card: Card, organization: Organization) -> None:
    describe(card.browser)
    top_up = card.buy("10")
    before = card.browser.get(reverse("billing:invoice", args=[Invoice.objects.get().number])).content
    card.browser.post(reverse("billing:save-details"), {**FILLED_IN, "name": "Other"})

    after = card.browser.get(reverse("billing:invoice", args=[Invoice.objects.get().number])).content

    assert after == before
    assert "Łódź Anchor" in text_of(card.browser.get(reverse("billing:receipt", args=[top_up.pk])).content)
    made = statements.make(organization=organization, month=Month.of(timezone.now()))
    assert made.organization.billing_details.name == "Other"


def test_invoices_and_credit_notes_are_listed_beside_the_receipt(card: Card) -> None:
    top_up = card.buy("10")
    card.browser.post(reverse("billing:refund", args=[top_up.pk]), {"cents": "1000"})
    year = timezone.now().year

    listed = shown(card.browser, "invoices")
    page = words(card.browser.get(page_of(top_up)).content.decode())

    assert re.search(rf"FA-{year}-000002 {year}-\d\d-\d\d -\$10\.00 Credit note FA", listed)
    assert re.search(rf"FA-{year}-000001 {year}-\d\d-\d\d \$10\.00 Invoice FA-\S+ , receipt of", listed)
    assert "Invoice as PDF Receipt as PDF" in page
    assert f"Invoice and corrections Number Issued US dollars Documents FA-{year}-000001" in page
    note = paper(card.browser, f"FA-{year}-000002")
    assert f"Corrects invoice FA-{year}-000001" in note
    assert "FastAnchor credit, paid back unused -$10.00 Tax: none is charged $0.00 Total -$10.00" in note


def test_the_pages_hold_well_formed_markup(card: Card) -> None:
    card.buy("10")
    describe(card.browser)

    for name in ("details", "invoices"):
        assert faults(card.browser.get(reverse(f"billing:{name}")).content.decode()) == []


def test_before_the_first_top_up_there_is_no_invoice(browser: Client, organization: Organization) -> None:
    page = shown(browser, "invoices")

    assert "Your first top-up brings the first invoice." in page
    assert f"The next one will be to {organization.name}. Add your address and tax id" in page


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [
        ("name", "", "This field is required"),
        ("name", "x" * 201, "at most 200 characters"),
        ("name", "Bell\x07", "characters that cannot be seen"),
        ("name", "Null\x00", "characters that cannot be seen"),
        ("name", "A\u202egnp.exe", "characters that cannot be seen"),
        ("name", "two\nlines", "characters that cannot be seen"),
        ("name", "شركة", "Our invoices cannot show شرك"),
        ("name", "Smile 😀", "Our invoices cannot show 😀"),
        ("line1", " ", "This field is required"),
        ("city", "x" * 101, "at most 100 characters"),
        ("country", "XX", "Select a valid choice"),
        ("country", "Germany", "Select a valid choice"),
        ("country", "", "This field is required"),
        ("email", "nobody", "Enter a valid email address"),
        ("email", f"{'x' * 250}@example.com", "at most 254 characters"),
    ],
)
def test_what_cannot_stand_on_an_invoice_is_told_at_its_field(
    browser: Client, organization: Organization, name: str, typed: str, told: str
) -> None:
    response = browser.post(reverse("billing:save-details"), {**FILLED_IN, name: typed})

    assert response.status_code == 422
    assert told in " ".join(response.context["form"].errors[name])
    assert faults(response.content.decode()) == []
    assert not BillingDetails.objects.exists()


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "Müller & Söhne", "株式会社アンカー", "앵커 주식회사", "x" * 200]
)
def test_any_name_is_shown_as_it_was_typed(card: Card, name: str) -> None:
    card.browser.post(reverse("billing:save-details"), {**FILLED_IN, "name": name})
    card.buy("10")

    page = card.browser.get(reverse("billing:invoices")).content.decode()

    assert "<script>alert" not in page
    assert unescape(words(page)).count(name) == 1
    assert name.replace(" ", "") in paper(card.browser, Invoice.objects.get().number).replace(" ", "")


def test_an_organization_whose_name_cannot_be_printed_gets_its_invoice(
    card: Card, organization: Organization
) -> None:
    organizations.rename(organization=organization, name="شركة \x07 Acme")
    card.buy("10")

    text = paper(card.browser, Invoice.objects.get().number)

    assert "Customer ???? ? Acme" in text
    assert f"Customer number {organization.pk}" in text


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("eu_vat", "123456789", "That is no EU VAT number: one looks like DE123456789."),
        ("eu_vat", "<b>", "That is no EU VAT number"),
        ("eu_vat", "DE" + "1" * 60, "at most 40 characters"),
        ("eu_vat", "", "This field is required"),
        ("xx_vat", "1", "Select a valid choice"),
        ("", "1", "This field is required"),
    ],
)
def test_a_malformed_tax_id_is_told_and_not_kept(
    browser: Client, organization: Organization, kind: str, value: str, told: str
) -> None:
    response = browser.post(reverse("billing:add-tax-id"), {"tax-kind": kind, "tax-value": value})

    assert response.status_code == 422
    assert told in str(response.context["tax_id_form"].errors)
    assert faults(response.content.decode()) == []
    assert not TaxId.objects.exists()


def test_a_sixth_tax_id_finds_no_room(browser: Client, organization: Organization) -> None:
    path = reverse("billing:add-tax-id")
    answers = [
        browser.post(path, {"tax-kind": "eu_vat", "tax-value": f"DE12345678{number}"}) for number in range(6)
    ]

    assert [each.status_code for each in answers] == [302] * 5 + [422]
    assert "There is room for 5. Remove one first." in words(answers[-1].content.decode())
    assert TaxId.objects.count() == 5


def test_a_tax_id_is_removed_by_its_button(browser: Client, organization: Organization) -> None:
    describe(browser)

    removed = browser.post(reverse("billing:remove-tax-id", args=[TaxId.objects.get().pk]), follow=True)

    assert "The tax id is removed." in words(removed.content.decode())
    assert not TaxId.objects.exists()


def test_what_stripe_refuses_and_what_it_has_not_heard_is_said(
    card: Card, organization: Organization
) -> None:
    card.buy("10")
    describe(card.browser)
    waiting = shown(card.browser, "details")
    BillingDetails.objects.update(refusal="Invalid email address.")
    TaxId.objects.update(refusal="Invalid value for eu_vat.")
    StripeCustomer.objects.update(details_revision=BillingDetails.objects.get().revision)

    refused = shown(card.browser, "details")

    assert "Stripe is told of these details within a minute." in waiting
    assert "within a minute" not in refused
    assert "does not accept these details: Invalid email address." in refused
    assert "PL1234563218 Stripe: Invalid value for eu_vat." in refused


def test_what_was_entered_at_stripe_is_shown_as_such(card: Card) -> None:
    card.pay("10", billingCountry="FR", taxId="FRAB123456789", businessName="Ancre SARL")
    card.browser.get(page_of(TopUp.objects.get()))

    page = card.browser.get(reverse("billing:details"))

    text = words(page.content.decode())
    assert "This is what was entered on Stripe’s page with your last payment." in text
    assert 'value="Ancre SARL"' in page.content.decode()
    assert "EU VAT number FRAB123456789" in text


def test_while_stripe_is_away_details_are_saved_all_the_same(card: Card) -> None:
    card.buy("10")
    card.fake.order("faults", {"faults": [{"status": 503}]})

    describe(card.browser)

    assert BillingDetails.objects.get().name == FILLED_IN["name"]


def test_an_address_is_written_as_its_country_writes_it() -> None:
    assert details.lines_of(Address("1 Main St", "", "Austin", "TX", "73301", "US")) == [
        "1 Main St",
        "Austin TX 73301",
        "United States",
    ]
    assert details.lines_of(Address(country="DE", postal_code="20457", city="Hamburg")) == [
        "20457 Hamburg",
        "Germany",
    ]
