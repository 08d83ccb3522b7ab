"""The books beside Stripe's: what is missing on either side is found and named, and never put right in silence."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Organization
from billing import reconciliation
from billing.models import ReconciliationItem
from tests.billing.stripe.books import assert_books_agree, balance_cents, reconcile, slip_of_the_pen
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop


def test_books_that_agree_are_silent(buy: Buy, shop: Shop) -> None:
    refunded = buy(1_000).stripe_intent or ""
    shop.refund(refunded, 300)
    disputed = buy(2_500).stripe_intent or ""
    shop.decide(shop.dispute(disputed), "won")

    status, told = reconcile()

    assert (status, told["open"]) == (0, [])
    assert_books_agree(shop)


def test_a_payment_that_nobody_told_of_is_found_by_its_cash(shop: Shop, ada: Organization) -> None:
    shop.pay(ada, 1_000)

    run = reconciliation.reconcile_cash()

    assert balance_cents(ada) == 1_000
    assert (run.compared, list(reconciliation.open_items())) == (1, [])
    assert_books_agree(shop)


def test_cash_of_nobody_is_named(buy: Buy, shop: Shop) -> None:
    buy(1_000)
    orphan = shop.pay_as_a_stranger()

    status, told = reconcile()

    assert status == 1
    assert {"kind": "orphan_payment", "subject": orphan.id, "ours": "no top-up", "theirs": "700 usd"} in told[
        "open"
    ]
    assert "cash_missing" in {item["kind"] for item in told["open"]}


def test_a_journal_that_stripe_knows_nothing_of_is_named(buy: Buy, shop: Shop) -> None:
    buy(1_000)
    journal = slip_of_the_pen()
    reconciliation.reconcile_cash(now=timezone.now() + timedelta(hours=2))
    status, told = reconcile()

    named = {(item["kind"], item["subject"]) for item in told["open"]}
    assert status == 1
    assert named == {("cash_unheard", journal.idempotency_key), ("cash_total", "stripe_clearing")}


def test_an_item_is_closed_with_a_word_once_it_no_longer_differs_and_only_then(buy: Buy, shop: Shop) -> None:
    buy(1_000)
    (movement,) = shop.api.balance_transactions.list().data
    told = {"kind": "cash_missing", "ours": "no journal", "theirs": "charge"}
    settled = ReconciliationItem.objects.create(subject=movement.id, **told)
    unseen = ReconciliationItem.objects.create(subject="txn_of_long_ago", **told)

    status, _ = reconcile()

    settled.refresh_from_db()
    unseen.refresh_from_db()
    assert (settled.state, settled.note, settled.closed_by) == ("explained", "No longer differs.", "system")
    assert (unseen.state, status) == ("open", 1)


def test_while_stripe_is_away_nothing_is_concluded(buy: Buy, shop: Shop) -> None:
    buy(1_000)
    shop.fake.order("faults", {"faults": [{"status": 503}]})

    with pytest.raises(CommandError, match="could not be asked"):
        reconcile()

    assert list(reconciliation.open_items()) == []


def test_the_command_says_in_words_what_is_open(buy: Buy, shop: Shop) -> None:
    buy(1_000)
    ReconciliationItem.objects.create(
        kind="cash_missing", subject="txn_1", ours="no journal", theirs="charge"
    )
    output = StringIO()

    with pytest.raises(SystemExit, match="1"):
        call_command("billing_reconcile", "--since", "2026-01-01", stdout=output)

    assert "1 movements compared" in output.getvalue()
    assert "OPEN cash_missing txn_1: no journal / charge" in output.getvalue()


def test_a_day_that_is_none_is_refused(shop: Shop) -> None:
    with pytest.raises(CommandError, match="YYYY-MM-DD"):
        call_command("billing_reconcile", "--since", "yesterday")
