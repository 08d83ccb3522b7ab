"""Judging the books beside Stripe's own."""

from __future__ import annotations

from accounts.models import Organization
from billing import audit, wallets
from billing.models import AccountCode, Posting
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
