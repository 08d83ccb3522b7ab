"""One page per customer: found by what somebody has at hand, shown as far as its reader may know, in twenty queries at most."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import keys, notes
from accounts.models import ApiKey, Membership, Organization, User
from accounts.organization_note import OrganizationNote
from billing import grants, partitions, topups, wallets
from billing.models import Dispute, Invoice, Refund, StripeCustomer, TopUp
from billing.settlement import settle_batch
from tests.billing.cast import make_organization, usage
from tests.staff.customers_cast import DOLLAR, desk, text

pytestmark = pytest.mark.django_db
MOST_QUERIES = 20


@pytest.fixture(autouse=True)
def _one_factor(settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = False


@pytest.fixture
def alice(db: None) -> Organization:
    """Return alice's organization with a bit of everything."""
    organization = make_organization()
    Organization.objects.filter(pk=organization.pk).update(name="Alice & Sons")
    organization.refresh_from_db()
    grants.grant(organization=organization, amount_nano=5 * DOLLAR, reason="Welcome", key="g", actor="x")
    return organization


@pytest.fixture
def key(alice: Organization) -> ApiKey:
    return keys.create(organization=alice, name="Laptop")[0]


def page(browser: Client, organization: Organization) -> str:
    return text(browser.get(reverse("customer", args=[organization.pk])))


def used(organization: Organization, count: int, start: int = 0) -> list[str]:
    now_ms = time.time_ns() // 1_000_000
    partitions.prepare(today=datetime.now(UTC).date(), months_ahead=1)
    made = [
        usage(
            organization,
            request_id=f"req_{number:020d}",
            started_at_ms=now_ms - number * 60_000 - 900,
            finished_at_ms=now_ms - number * 60_000,
            model_id=f"model-{number % 7}",
        )
        for number in range(start, start + count)
    ]
    settle_batch(made)
    return [each.request_id for each in made]


def bought(organization: Organization, count: int = 1, start: int = 0) -> TopUp:
    """Buy so often, each with a refund and a dispute; return the last top-up."""
    return [_bought(organization, number) for number in range(start, start + count)][-1]


def _bought(organization: Organization, number: int) -> TopUp:
    top_up = TopUp.objects.create(
        organization=organization,
        amount_cents=1_000,
        source="checkout",
        status="succeeded",
        actor="user:1",
        stripe_intent=f"pi_{number}",
        stripe_session=f"cs_test_{number}",
        journal=topups.record_top_up(organization=organization, cents=1_000, key=f"t{number}", actor="x"),
    )
    Refund.objects.create(top_up=top_up, amount_cents=100, stripe_id=f"re_{number}", actor="stripe")
    Dispute.objects.create(
        stripe_id=f"dp_{number}",
        top_up=top_up,
        amount_cents=1_000,
        status="won",
        reason="fraudulent",
        opened_at=timezone.now(),
    )
    return top_up


def find(browser: Client, words: str) -> str:
    """Return the address to which a search leads at once."""
    return str(browser.get(reverse("customers"), {"q": words}).headers.get("Location", ""))


def test_a_customer_is_found_by_whatever_somebody_has_at_hand(alice: Organization, key: ApiKey) -> None:
    _, browser = desk("support")
    make_organization("bob@example.org")
    StripeCustomer.objects.create(organization=alice, stripe_id="cus_of_alice")
    (request_id,) = used(alice, 1)
    top_up = bought(alice)
    here = reverse("customer", args=[alice.pk])

    words = [
        alice.pk, "Alice@Example.org", key.pk, key.prefix, key.last4, f"{key.prefix}{'x' * 20}{key.last4}",
        request_id, "cus_of_alice", "pi_0", "cs_test_0", "re_0", "dp_0", top_up.pk, Invoice.objects.get().pk.lower(),
    ]  # fmt: skip

    assert {each: find(browser, f" {each} ") for each in words} == dict.fromkeys(words, here)
    assert find(browser, f"{key.prefix}{'x' * 20}0000") == ""


def test_names_are_found_by_their_begin_in_any_case_and_only_listed(alice: Organization) -> None:
    _, browser = desk("support")
    make_organization("bob@example.org")

    found = text(browser.get(reverse("customers"), {"q": "aLICE & s"}))
    nothing = text(browser.get(reverse("customers"), {"q": "lice"}))

    assert reverse("customer", args=[alice.pk]) in found
    assert "1 found" in found
    assert "0 found" in nothing


def test_a_search_finds_for_its_reader_only_what_its_reader_may_know_of(
    alice: Organization, key: ApiKey
) -> None:
    bought(alice)
    StripeCustomer.objects.create(organization=alice, stripe_id="cus_of_alice")
    _, operations = desk("operations")

    assert find(operations, key.pk) == reverse("customer", args=[alice.pk])
    for hidden in ("alice@example.org", "cus_of_alice", "pi_0", Invoice.objects.get().pk):
        assert find(operations, hidden) == "", hidden


def test_a_search_uses_indexes_and_reads_a_page_at_most(alice: Organization) -> None:
    plan = alice.plan
    Organization.objects.bulk_create(
        [Organization(name=f"Company {number}", plan=plan) for number in range(3_000)]
    )
    _, browser = desk("support")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_organization")

    with CaptureQueriesContext(connection) as asked:
        answer = browser.get(reverse("customers"), {"q": "company 1"})
    by_name = next(each["sql"] for each in asked if "COLLATE" in each["sql"])
    with connection.cursor() as cursor:
        # The crowd is small enough to be read whole; whether the index can answer is asked.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {by_name}")
        how = "\n".join(row[0] for row in cursor.fetchall())

    assert text(answer).count('<th scope="row">') == 20
    assert "organization_by_begin_of_name" in how
    assert len(asked) <= MOST_QUERIES


def test_the_page_shows_all_there_is_to_who_may_see_it(alice: Organization, key: ApiKey) -> None:
    finance, _ = desk("finance")
    _, browser = desk("owner")
    (request_id,) = used(alice, 1)
    top_up = bought(alice)
    notes.write(organization=alice, text="Wants an invoice <b>", by=finance)

    shown = page(browser, alice)

    for words in (
        "alice@example.org", "Owner", f"{key.prefix}…{key.last4}", "Free", "$14.999999000", "Welcome", request_id,
        top_up.pk, "dp_0", "key.created", "Wants an invoice &lt;b&gt;", finance.email, "model-0",
        "No request holds anything.", "Alice &amp; Sons",
    ):  # fmt: skip
        assert words in shown, words
    assert shown.count('class="chart-drawing"') == 1
    assert shown.count('<tr><th scope="row">2') >= 30
    assert bytes(key.digest).hex() not in shown


def test_each_part_is_for_those_who_may_see_it(alice: Organization, key: ApiKey) -> None:
    used(alice, 1)
    _, operations = desk("operations")
    _, catalog = desk("catalog")

    shown = page(operations, alice)

    assert "Last requests" in shown
    assert "API keys" in shown
    for words in ("alice@example.org", "Wallet", "Ledger", "Top-ups", "Audit log", "Members", "Freeze"):
        assert words not in shown, words
    assert catalog.get(reverse("customer", args=[alice.pk])).status_code == 403
    assert catalog.get(reverse("customers")).status_code == 403


def test_the_page_asks_as_often_for_a_large_customer_as_for_a_small_one(
    alice: Organization, key: ApiKey
) -> None:
    user, browser = desk("owner")
    used(alice, 1)
    bought(alice)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(browser, alice)
        return len(queries)

    page(browser, alice)
    few = asked()
    used(alice, 300, start=1)
    bought(alice, 12, start=1)
    for number in range(30):
        keys.create(organization=alice, name=f"Key {number}")
        notes.write(organization=alice, text=f"Note {number}", by=user)
        member = User.objects.create_user(f"member{number}@example.org")
        Membership.objects.create(user=member, organization=alice)

    assert asked() == few <= MOST_QUERIES


def test_an_unknown_customer_is_not_there() -> None:
    _, browser = desk("owner")

    assert browser.get("/admin/customers/org_nobody/").status_code == 404


def test_a_customer_without_a_wallet_has_a_page_and_can_be_given_credit() -> None:
    _, browser = desk("finance")
    organization = make_organization()

    shown = page(browser, organization)
    answer = browser.get(reverse("customer-give", args=[organization.pk]))

    assert "Give credit" in shown
    assert browser.get(answer["Location"]).status_code == 200
    assert wallets.of(organization).balance_nano == 0


@pytest.mark.parametrize("role", ["support", "finance", "operations"])
def test_a_note_is_written_once_and_stays(alice: Organization, role: str) -> None:
    user, browser = desk(role)

    browser.post(reverse("customer-note", args=[alice.pk]), {"text": " Called about taxes "})
    for nothing in ("  ", "x" * 2_001):
        browser.post(reverse("customer-note", args=[alice.pk]), {"text": nothing})

    (note,) = OrganizationNote.objects.all()
    assert (note.text, note.author, note.organization) == ("Called about taxes", user, alice)
    assert "Called about taxes" in page(browser, alice)
    for change in (note.save, lambda: OrganizationNote.objects.all().delete()):
        with pytest.raises(DatabaseError, match="only added"), transaction.atomic():
            change()


def test_who_may_not_note_has_no_form_and_writes_nothing(alice: Organization) -> None:
    _, browser = desk("catalog")

    assert browser.post(reverse("customer-note", args=[alice.pk]), {"text": "x"}).status_code == 403
    assert OrganizationNote.objects.count() == 0
