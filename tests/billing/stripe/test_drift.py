"""The smallest wrong in either pair of books makes its command exit with 1, and the right subject is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.models import Organization
from billing import wallets
from billing.models import Journal, JournalKind, TopUp
from tests.billing.stripe.books import reconcile
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop

# Committed as in life: within one transaction PostgreSQL would check all of it once more.
pytestmark = pytest.mark.django_db(transaction=True)


def unguarded(statement: str, *parameters: str) -> None:
    """Change what the guards would refuse."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement, parameters)
        cursor.execute("SET session_replication_role = DEFAULT")


def verify() -> tuple[int, str]:
    """Run the other command; return its exit status and what is wrong."""
    output = StringIO()
    try:
        call_command("billing_verify", "--json", "--wait-s=0", stdout=output)
    except SystemExit as exc:
        broken = [check for check in json.loads(output.getvalue())["checks"] if not check["ok"]]
        return int(exc.code or 0), json.dumps(broken)
    return 0, ""


@dataclass
class Books:
    """One payment, in ours and in Stripe's, by the names that a finding may use."""

    organization: Organization
    top_up: TopUp
    journal: Journal
    movement: str


@pytest.fixture
def books(buy: Buy, shop: Shop, ada: Organization) -> Books:
    """Return books that agree."""
    top_up = buy(1_000)
    [movement] = shop.api.balance_transactions.list().data
    assert (reconcile()[0], verify()[0]) == (0, 0)
    return Books(ada, top_up, Journal.objects.get(kind=JournalKind.TOP_UP), movement.id)


def one_nano(books: Books) -> None:
    """One posting is a nano off."""
    unguarded(
        "UPDATE billing_posting SET amount_nano = amount_nano + 1 WHERE journal_id = %s AND amount_nano > 0",
        books.journal.pk,
    )


def one_journal(books: Books) -> None:
    """One journal is gone, with its postings."""
    unguarded("DELETE FROM billing_posting WHERE journal_id = %s", books.journal.pk)
    unguarded("DELETE FROM billing_journal WHERE id = %s", books.journal.pk)


DRIFTS: dict[str, tuple[Callable[[Books], None], Callable[[Books], str], Callable[[Books], set[Any]]]] = {
    "one nano": (
        one_nano,
        lambda books: books.journal.pk,
        lambda books: {("cash_differs", books.movement), ("cash_total", "stripe_clearing")},
    ),
    "one missing journal": (
        one_journal,
        lambda books: books.organization.pk,
        lambda books: {("cash_missing", books.movement), ("cash_total", "stripe_clearing")},
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_both_commands_name_what_has_drifted(books: Books, drift: str) -> None:
    seed, told_here, told_there = DRIFTS[drift]
    before = wallets.of(books.organization).balance_nano
    seed(books)

    status, broken = verify()
    second_status, told = reconcile()

    assert (status, second_status) == (1, 1)
    assert told_here(books) in broken
    found = {(item["kind"], item["subject"]) for item in told["open"] if item["kind"] != "books"}
    assert found == told_there(books)
    assert wallets.of(books.organization).balance_nano == before


def test_an_orphan_payment_at_stripe_is_named_by_its_own_id(books: Books, shop: Shop) -> None:
    orphan = shop.pay_as_a_stranger()

    status, told = reconcile()

    assert status == 1
    assert ("orphan_payment", orphan.id) in {(item["kind"], item["subject"]) for item in told["open"]}
    assert verify()[0] == 0
