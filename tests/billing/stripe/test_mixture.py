"""Whatever is mixed, the ledger, the wallets, the lots, Valkey and Stripe agree to the nano.

In full (``--full``): 10,000 operations.
"""

from __future__ import annotations

import sys
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import QuerySet, Sum

from billing import ledger, posting, wallets
from billing.models import AccountCode, CreditLot, Journal, JournalKind, Posting
from tests.billing.stripe.books import assert_books_agree
from tests.billing.stripe.mixture import Books, run
from tests.billing.stripe.shop import Shop


@pytest.mark.timeout(3600)
@pytest.mark.django_db(transaction=True)
def test_a_mixture_of_operations_leaves_nothing_over(shop: Shop, seed: int, *, is_full: bool) -> None:
    operations = 10_000 if is_full else 160

    books = run(shop, seed=seed, operations=operations)
    posting.post_usage()

    assert books.done.total() == operations
    assert _total(Posting.objects.all()) == 0
    for customer in books.customers:
        owed = ledger.credit_of(customer)
        left = CreditLot.objects.filter(organization=customer).aggregate(nano=Sum("remaining_nano"))["nano"]
        wallet = wallets.of(customer)
        assert (wallet.balance_nano, wallet.unposted_nano, max(owed, 0)) == (owed, 0, left or 0)
        assert owed == books.expected[customer.pk] - _expired(customer.pk)
    assert_books_agree(shop)
    output = StringIO()
    call_command("billing_verify", stdout=output)
    _tell(seed, books, output.getvalue())


def _total(postings: QuerySet[Posting]) -> int:
    return int(postings.aggregate(nano=Sum("amount_nano"))["nano"] or 0)


def _expired(organization_id: str) -> int:
    """Return what has expired, which depends on when it was looked for."""
    return -_total(
        Posting.objects.filter(
            account__code=AccountCode.BREAKAGE,
            journal__kind=JournalKind.EXPIRY,
            journal__organization_id=organization_id,
        )
    )


def _tell(seed: int, books: Books, verified: str) -> None:
    written = {kind: Journal.objects.filter(kind=kind).count() for kind in JournalKind}
    sys.stdout.write(f"seed {seed}: {dict(books.done)}\njournals: {written}\n{verified}")
