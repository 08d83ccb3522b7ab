"""Every movement of Stripe's cash: booked where its meaning is known, an open item where it is not, never lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Sum

from billing import events, items, reconciliation
from billing.models import AccountCode, Journal, JournalKind, Posting, ReconciliationItem
from billing.stripe_api.events import EventSeen
from fastanchor.lib.money import cents_to_nanos
from tests.billing.stripe.books import assert_books_agree, clearing_cents, stripes_cents
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop

pytestmark = pytest.mark.django_db
_DAY = 86_400


def held_cents(code: AccountCode) -> int:
    total = Posting.objects.filter(account__code=code).aggregate(total=Sum("amount_nano"))["total"]
    return int(total or 0) // 10_000_000


def open_kinds() -> list[tuple[str, str, int | None]]:
    return [(item.kind, item.theirs, item.missing_nano) for item in reconciliation.open_items()]


@pytest.fixture
def payout(buy: Buy, shop: Shop) -> Any:
    """Return a payout on schedule of what a payment of $10.00 has brought."""
    buy(1_000)
    shop.fake.order("clock", {"advance_s": 3 * _DAY})
    return shop.fake.order("payouts")


def test_a_payout_moves_cash_to_the_bank_and_both_books_agree(payout: Any, shop: Shop) -> None:
    reconciliation.reconcile_cash()
    journals = Journal.objects.count()
    reconciliation.reconcile_cash()

    assert (held_cents(AccountCode.BANK), clearing_cents()) == (941, 0)
    assert list(reconciliation.open_items()) == []
    assert Journal.objects.count() == journals
    assert_books_agree(shop)


def test_a_payout_that_comes_back_is_stripes_cash_again(payout: Any, shop: Shop) -> None:
    shop.fake.order(f"payouts/{payout['id']}", {"status": "paid"})
    reconciliation.reconcile_cash()
    shop.fake.order(f"payouts/{payout['id']}", {"status": "failed"})
    reconciliation.reconcile_cash()

    assert (held_cents(AccountCode.BANK), clearing_cents()) == (0, 941)
    assert list(reconciliation.open_items()) == []
    assert_books_agree(shop)


def test_the_event_of_a_payout_books_it_at_once_and_once(payout: Any, shop: Shop) -> None:
    told = EventSeen("evt_1", "payout.paid", 0, "", "", "", payout_id=payout["id"])
    events.take(told)
    booked = held_cents(AccountCode.BANK)
    shop.fake.order(f"payouts/{payout['id']}", {"status": "failed"})

    events.poll()

    assert (booked, held_cents(AccountCode.BANK)) == (941, 0)
    kinds = Journal.objects.filter(kind=JournalKind.STRIPE, source_type="balance_transaction")
    assert sorted(kinds.values_list("reason", flat=True)) == ["Payout", "Payout failure", "Stripe's fee"]
    assert_books_agree(shop)


@pytest.mark.parametrize(
    ("kind", "account"),
    [
        ("stripe_fee", AccountCode.STRIPE_FEES),
        ("tax_fee", AccountCode.STRIPE_FEES),
        ("topup", AccountCode.BANK),
    ],
)
def test_what_is_stripes_own_is_booked_without_a_word(shop: Shop, kind: str, account: AccountCode) -> None:
    shop.fake.order("movements", {"type": kind, "amount": -250})

    reconciliation.reconcile_cash()

    assert (held_cents(account), open_kinds()) == (250, [])
    assert clearing_cents() == stripes_cents(shop) == -250


@pytest.mark.parametrize("kind", ["adjustment", "reserve_hold", "payment_failure_refund", "transfer"])
def test_a_movement_of_unknown_meaning_waits_for_a_person_and_its_fee_is_booked(
    shop: Shop, kind: str
) -> None:
    shop.fake.order("movements", {"type": kind, "amount": -700, "fee": 30})

    reconciliation.reconcile_cash()

    missing = -cents_to_nanos(700)
    assert open_kinds() == [
        ("cash_unknown", f"{kind} of -700 cents", missing),
        ("cash_total", "-730 cents", missing),
    ]
    assert held_cents(AccountCode.STRIPE_FEES) == 30


@pytest.mark.parametrize("kind", ["payout", "stripe_fee", "adjustment"])
def test_another_currency_is_never_booked_as_dollars(shop: Shop, kind: str) -> None:
    shop.fake.order("movements", {"type": kind, "amount": -500, "fee": 5, "currency": "eur"})

    reconciliation.reconcile_cash()

    assert open_kinds() == [("cash_unknown", f"{kind} of -500 eur", None)]
    assert not Posting.objects.exists()


def test_a_payout_in_another_currency_is_not_booked_by_its_event(shop: Shop) -> None:
    shop.fake.order("movements", {"type": "transfer", "amount": 5_000, "currency": "eur"})
    payout = shop.api.payouts.create({"amount": 500, "currency": "eur"})

    events.take(EventSeen("evt_1", "payout.created", 0, "", "", "", payout_id=payout.id))

    assert not Posting.objects.exists()


def test_what_went_away_by_itself_and_is_here_again_is_open_again(shop: Shop) -> None:
    for _ in range(2):
        items.note(kind="cash_total", subject="stripe_clearing", ours="0 cents", theirs="5 cents")
        items.settle(kind="cash_total", subject="stripe_clearing")
    items.note(kind="cash_total", subject="stripe_clearing", ours="0 cents", theirs="5 cents")

    assert [item.kind for item in reconciliation.open_items()] == ["cash_total"]
    assert ReconciliationItem.objects.count() == 3


def test_a_run_keeps_what_it_found(shop: Shop) -> None:
    shop.fake.order("movements", {"type": "transfer", "amount": 100})

    first = reconciliation.reconcile_cash()
    second = reconciliation.reconcile_cash()

    found = {"cash_unknown", "cash_total"}
    assert {item.kind for item in first.findings.all()} == found
    assert {item.kind for item in second.findings.all()} == found
