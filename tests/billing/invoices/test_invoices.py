"""Each top-up has one invoice, each refund one credit note, and their numbers have no gap."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Organization
from billing import audit, details, grants, invoices, refunds, sync, tasks, topups, wallets
from billing.details import Address
from billing.models import Invoice, InvoiceCounter, InvoiceKind, Journal
from billing.stripe_api.client import StripeRefused
from tests.billing.cast import make_organization
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop

YEAR = timezone.now().year


def numbers() -> list[str]:
    return list(Invoice.objects.order_by("year", "position").values_list("number", flat=True))


def first(count: int) -> list[str]:
    return [f"FA-{YEAR}-{position:06d}" for position in range(1, count + 1)]


def assert_proved() -> None:
    [check] = [each for each in audit.stored_checks() if each.name == "I13"]
    assert check.culprits == []


def test_a_top_up_has_one_invoice_however_often_it_is_followed(
    shop: Shop, ada: Organization, buy: Buy
) -> None:
    paid = buy(1_234)
    for _ in range(3):
        sync.sync(paid.stripe_intent or "")
    tasks.write_invoices()

    invoice = Invoice.objects.get()
    assert (invoice.number, invoice.kind) == (f"FA-{YEAR}-000001", InvoiceKind.INVOICE)
    assert (invoice.amount_cents, invoice.tax_cents) == (1_234, 0)
    assert invoice.journal == paid.journal
    assert invoice.payment == f"Paid at Stripe, {paid.stripe_intent}"
    assert_proved()


def test_a_top_up_that_was_not_paid_takes_no_number(shop: Shop, ada: Organization, buy: Buy) -> None:
    shop.open(ada)
    buy(1_000)

    assert numbers() == first(1)


def test_money_received_outside_stripe_is_invoiced_and_gifts_are_not(ada: Organization) -> None:
    grants.grant_signup_credit(organization=ada)
    for _ in range(2):
        topups.record_top_up(organization=ada, cents=5_000, key="wire-1", actor="command:x")

    invoice = Invoice.objects.get()
    assert (invoice.amount_cents, invoice.payment) == (5_000, "Paid outside Stripe")


def test_the_buyer_and_the_seller_are_those_of_the_top_up(
    ada: Organization, buy: Buy, settings: Settings
) -> None:
    settings.SELLER_NAME, settings.SELLER_ADDRESS = "Anchor Ltd", ["Dock 1", "London"]
    details.save(
        organization=ada,
        name="Anker GmbH",
        email="",
        address=Address(line1="Kai 1", country="DE"),
        by="user:1",
    )
    details.add_tax_id(organization=ada, kind="eu_vat", value="DE123456789", by="user:1")
    buy(1_000)
    settings.SELLER_NAME = "Anchor Plc"
    details.save(organization=ada, name="Anker AG", email="", address=Address(), by="user:1")
    buy(2_000)

    early, late = Invoice.objects.order_by("position")

    assert early.buyer == {
        "name": "Anker GmbH",
        "email": "ada@example.com",
        "address": ["Kai 1", "Germany"],
        "tax_ids": [["EU VAT number", "DE123456789"]],
    }
    assert early.seller == {"name": "Anchor Ltd", "address": ["Dock 1", "London"], "tax_id": ""}
    assert (late.buyer["name"], late.seller["name"]) == ("Anker AG", "Anchor Plc")


def test_a_refund_has_a_credit_note_to_the_same_buyer(ada: Organization, buy: Buy) -> None:
    paid = buy(1_000)
    details.save(organization=ada, name="Other", email="", address=Address(), by="user:1")

    for cents in (300, 200):
        sync.send_refund(refunds.request(top_up=paid, cents=cents, actor="user:1"))

    invoice, *notes = invoices.about(paid)
    assert [note.kind for note in notes] == [InvoiceKind.CREDIT_NOTE] * 2
    assert [note.amount_cents for note in notes] == [300, 200]
    assert {note.corrects for note in notes} == {invoice}
    assert {note.buyer["name"] for note in notes} == {ada.name}
    assert numbers() == first(3)
    assert_proved()


def test_a_refund_made_at_stripe_has_a_credit_note_too(shop: Shop, buy: Buy) -> None:
    paid = buy(1_000)
    shop.refund(paid.stripe_intent or "", 400)

    for _ in range(2):
        sync.sync(paid.stripe_intent or "")

    assert [each.amount_cents for each in invoices.about(paid)] == [1_000, 400]


def test_a_refund_that_stripe_refuses_is_cancelled_on_paper(shop: Shop, buy: Buy) -> None:
    paid = buy(1_000)
    wanted = refunds.request(top_up=paid, cents=1_000, actor="user:1")
    shop.fake.order("faults", {"faults": [{"status": 400, "path": "/v1/refunds", "method": "POST"}]})

    with pytest.raises(StripeRefused):
        sync.send_refund(wanted)

    invoice, note, back = invoices.about(paid)
    assert (back.kind, back.amount_cents, back.corrects) == (InvoiceKind.CANCELLATION, 1_000, note)
    assert note.corrects == invoice
    assert_proved()


def test_a_top_up_without_an_invoice_gets_it_later(
    ada: Organization, buy: Buy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(invoices, "write_missing", lambda organization: 0)
        paid = buy(1_000)
    [check] = [each for each in audit.stored_checks() if each.name == "I13"]

    tasks.write_invoices()
    tasks.write_invoices()

    assert paid.journal is not None
    assert check.culprits == [f"{paid.journal.pk}: a top_up without its document"]
    assert Invoice.objects.get().journal == paid.journal


def test_a_payment_does_not_wait_for_paper_that_cannot_be_written(
    buy: Buy, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(invoices, "_corrected", lambda journal: Invoice.objects.get(pk="none"))
        paid = buy(1_000)

    assert paid.journal is not None
    assert not Invoice.objects.exists()


def test_an_invoice_is_never_changed(ada: Organization) -> None:
    topups.record_top_up(organization=ada, cents=5_000, key="wire-1", actor="command:x")

    for change in (
        lambda: Invoice.objects.update(amount_cents=1),
        lambda: Invoice.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError, match="only added"), transaction.atomic():
            change()


def test_numbers_begin_anew_with_the_year_and_dates_follow_them(
    ada: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve = datetime(2031, 12, 31, 23, 59, tzinfo=UTC)
    for number, moment in enumerate((eve, eve - timedelta(seconds=9), eve + timedelta(minutes=1))):
        monkeypatch.setattr(timezone, "now", lambda moment=moment: moment)
        topups.record_top_up(organization=ada, cents=500, key=f"wire-{number}", actor="command:x")

    written = Invoice.objects.order_by("year", "position")

    assert [each.number for each in written] == ["FA-2031-000001", "FA-2031-000002", "FA-2032-000001"]
    assert [each.issued_at for each in written] == [eve, eve, eve + timedelta(minutes=1)]


def test_an_audit_sees_a_gap_and_a_wrong_amount(ada: Organization) -> None:
    topups.record_top_up(organization=ada, cents=5_000, key="wire-1", actor="command:x")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE billing_invoice SET position = 3, amount_cents = 5001")
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")

    [check] = [each for each in audit.stored_checks() if each.name == "I13"]

    journal = Journal.objects.get(kind="top_up")
    assert check.culprits == [
        f"{YEAR}: 1 documents, the last has number 3, the counter says 1",
        f"FA-{YEAR}-000001: of 5001 cents, journal {journal.pk} moved 50000000000 nano-USD",
    ]


@pytest.mark.django_db(transaction=True)
def test_top_ups_at_once_leave_no_gap_and_no_double() -> None:
    customers = [make_organization(f"{number}@example.com") for number in range(4)]
    start = threading.Barrier(8)

    def pay(number: int) -> None:
        start.wait()
        try:
            for each in range(5):
                # Two threads each pay for the same customer, and one in five payments is told by both.
                key = f"wire-{number % 4}-{each if each == 4 else f'{number}-{each}'}"
                topups.record_top_up(organization=customers[number % 4], cents=500, key=key, actor="x")
                invoices.write_for(customers[number % 4])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pay, range(8)))

    assert numbers() == first(36)
    assert InvoiceCounter.objects.get().last == 36
    assert_proved()


@pytest.mark.django_db(transaction=True)
def test_a_number_that_was_taken_in_vain_is_taken_again() -> None:
    ada = make_organization("ada@example.com")

    def fail() -> None:
        with transaction.atomic():
            wallets.lock(ada)
            invoices._next()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    topups.record_top_up(organization=ada, cents=5_000, key="wire-1", actor="command:x")

    assert numbers() == first(1)


@pytest.mark.django_db(transaction=True)
def test_payments_that_are_told_by_many_at_once_are_invoiced_once_each(shop: Shop) -> None:
    payers = [make_organization(f"{number}@example.com") for number in range(2)]
    intents = [shop.intent_of(shop.pay(each, 1_000)) for each in payers]
    start = threading.Barrier(6)

    def tell(number: int) -> None:
        start.wait()
        try:
            sync.sync(intents[number % 2])
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(tell, range(6)))

    assert numbers() == first(2)
    assert_proved()
