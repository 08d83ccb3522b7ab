"""Judging the books beside Stripe's own."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.db import connection

from accounts.models import Organization
from billing import audit, ledger, wallets
from billing.models import AccountCode, Journal, JournalKind, Posting
from billing.settlement import settle_batch
from fastanchor.lib.money import cents_to_nanos
from tests.billing.cast import usage
from tests.billing.stripe.shop import Shop


def balance_cents(organization: Organization) -> int:
    """Return the balance in cents, which must be whole."""
    cents, rest = divmod(wallets.of(organization).balance_nano, 10_000_000)
    assert rest == 0
    return cents


def spend(organization: Organization, cents: int) -> None:
    """Use credit, as far as the wallet is concerned."""
    nano = cents_to_nanos(cents)
    settle_batch([usage(organization, cost_nano=nano, cost_picos=nano * 1000, hold_nano=nano)])


def clearing_cents() -> int:
    """Return what the ledger says that Stripe holds for us."""
    postings = Posting.objects.filter(account__code=AccountCode.STRIPE_CLEARING)
    return sum(postings.values_list("amount_nano", flat=True)) // 10_000_000


def stripes_cents(shop: Shop) -> int:
    """Return what Stripe says that it holds for us."""
    return sum(each.net for each in shop.api.balance_transactions.list({"limit": 100}).auto_paging_iter())


def assert_books_agree(shop: Shop) -> None:
    """Check every invariant that PostgreSQL can tell, and the cash to the cent."""
    assert [check for check in audit.stored_checks() if not check.ok] == []
    assert clearing_cents() == stripes_cents(shop)


def reconcile(*arguments: str) -> tuple[int, Any]:
    """Run the command; return its exit status and what it printed."""
    output = StringIO()
    try:
        call_command("billing_reconcile", "--json", *arguments, stdout=output)
    except SystemExit as exc:
        return int(exc.code or 0), json.loads(output.getvalue())
    return 0, json.loads(output.getvalue())


# Each run leaves a row that tells of it, and none of these changes.
_TABLES = (
    "journal", "posting", "wallet", "creditlot", "topup", "refund", "dispute", "stripeevent", "stripecustomer",
    "paymentmethod", "autotopup", "meterpush", "reconciliationitem", "usagerecord",
)  # fmt: skip


def row_versions() -> dict[str, str]:
    """Return a mark for each table of money; any row that is added, changed or removed gives another."""
    with connection.cursor() as cursor:
        marks = {}
        for table in _TABLES:
            cursor.execute(
                f"SELECT count(*) || ' ' || coalesce(md5(string_agg(xmin::text || each::text, '|' ORDER BY each::text)), '') "
                f"FROM billing_{table} AS each"
            )
            marks[table] = str(cursor.fetchone()[0])
    return marks


def slip_of_the_pen() -> Journal:
    """Book a cent at Stripe of which Stripe knows nothing."""
    cent = cents_to_nanos(1)
    return ledger.post(
        key="a slip of the pen",
        kind=JournalKind.STRIPE,
        legs={AccountCode.STRIPE_CLEARING: cent, AccountCode.STRIPE_FEES: -cent},
        organization=None,
        reason="Slip",
        actor="test",
    )
