"""Open items are settled by a journal with a reason and an actor, once, and both books agree afterwards."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts import plans
from accounts.audit import NoReason
from accounts.models import Organization
from billing import drafts, items, ledger, reconciliation, remedies
from billing.models import (
    AccountCode,
    CreditLot,
    Journal,
    JournalKind,
    ReconciliationItem,
    TopUp,
    Wallet,
)
from billing.remedies import Decision, Remedy
from billing.sync import NotOurs, sync
from fastanchor.lib.money import cents_to_nanos
from tests.billing.stripe.books import assert_books_agree, balance_cents, slip_of_the_pen
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop

pytestmark = pytest.mark.django_db
WHY, WHO = "Paid by wire, told by phone", "user:7"


def only(kind: str) -> ReconciliationItem:
    return ReconciliationItem.objects.get(kind=kind, state="open")


def decision(kind: str) -> Decision:
    return Decision(only(kind), WHY, WHO)


def carry_out(draft: drafts.Draft) -> Journal:
    return drafts.book(draft, shown=drafts.show(draft))


def still_open() -> list[str]:
    # Journals of the last hour are not yet expected among Stripe's movements.
    reconciliation.reconcile_cash(now=timezone.now() + timedelta(hours=2))
    return [item.kind for item in reconciliation.open_items()]


def test_a_payment_of_nobody_becomes_the_credit_of_who_has_paid_it(shop: Shop, ada: Organization) -> None:
    payment = shop.pay_as_a_stranger()
    reconciliation.reconcile_cash()
    item = only("orphan_payment")

    journal = carry_out(remedies.credit_payment(decision("orphan_payment"), organization=ada))

    item.refresh_from_db()
    ada.refresh_from_db()
    top_up = TopUp.objects.get()
    assert (balance_cents(ada), ada.plan_id) == (700, plans.PAY_AS_YOU_GO)
    assert (item.state, item.journal, item.closed_by, item.note) == ("fixed", journal, WHO, WHY)
    assert (journal.reason, journal.actor, journal.source_id) == (WHY, WHO, top_up.pk)
    assert (top_up.stripe_intent, top_up.amount_cents, top_up.status) == (payment.id, 700, "succeeded")
    assert still_open() == []
    assert_books_agree(shop)


def test_what_becomes_of_it_later_is_followed_like_any_payment(shop: Shop, ada: Organization) -> None:
    payment = shop.pay_as_a_stranger()
    reconciliation.reconcile_cash()
    carry_out(remedies.credit_payment(decision("orphan_payment"), organization=ada))

    shop.refund(payment.id, 200)
    sync(payment.id)

    assert balance_cents(ada) == 500
    assert still_open() == []
    assert_books_agree(shop)


def test_a_payment_of_another_amount_is_credited_as_it_was_paid(shop: Shop, ada: Organization) -> None:
    top_up = shop.pay(ada, 1_000)
    TopUp.objects.filter(pk=top_up.pk).update(amount_cents=1_001)
    sync(shop.intent_of(top_up))
    unpaid = (balance_cents(ada), TopUp.objects.get().status)

    item = only("payment_mismatch")
    carry_out(remedies.credit_payment(Decision(item, WHY, WHO), organization=remedies.owner_of(item) or ada))

    assert unpaid == (0, "mismatched")
    assert (balance_cents(ada), TopUp.objects.get().amount_cents) == (1_000, 1_000)
    assert still_open() == []
    assert_books_agree(shop)


def test_a_mismatched_payment_is_credited_to_nobody_else(
    shop: Shop, ada: Organization, organization: Organization
) -> None:
    top_up = shop.pay(ada, 1_000)
    TopUp.objects.filter(pk=top_up.pk).update(amount_cents=1_001)
    sync(shop.intent_of(top_up))

    with pytest.raises(remedies.NoRemedy):
        carry_out(remedies.credit_payment(decision("payment_mismatch"), organization=organization))

    assert [item.kind for item in reconciliation.open_items()] == ["payment_mismatch"]


def test_a_payment_in_euros_is_credited_to_nobody(shop: Shop, ada: Organization) -> None:
    payment = shop.pay_as_a_stranger(currency="eur")
    with pytest.raises(NotOurs):
        sync(payment.id)

    with pytest.raises(remedies.NoRemedy, match="700 eur"):
        remedies.credit_payment(decision("orphan_payment"), organization=ada)


def test_cash_that_our_books_lack_is_booked_against_the_account_that_staff_names(shop: Shop) -> None:
    shop.fake.order("movements", {"type": "reserve_hold", "amount": -700, "fee": 30})
    reconciliation.reconcile_cash()

    journal = carry_out(remedies.book_cash(decision("cash_unknown"), account=AccountCode.STRIPE_RESERVE))

    assert ledger.legs_of(journal) == {
        AccountCode.STRIPE_RESERVE: cents_to_nanos(700),
        AccountCode.STRIPE_CLEARING: -cents_to_nanos(700),
    }
    assert (journal.kind, journal.reason, journal.actor) == (JournalKind.CORRECTION, WHY, WHO)
    assert still_open() == []
    assert_books_agree(shop)


def test_cash_may_be_a_customers(shop: Shop, buy: Buy, ada: Organization) -> None:
    """A bank takes a payment back in a way of its own, and later another gives money."""
    buy(1_000)
    shop.fake.order("movements", {"type": "payment_failure_refund", "amount": -1_200})
    reconciliation.reconcile_cash()
    carry_out(remedies.book_cash(decision("cash_unknown"), account=AccountCode.WALLET_PAID, organization=ada))
    owing = balance_cents(ada)
    shop.fake.order("movements", {"type": "adjustment", "amount": 500})
    reconciliation.reconcile_cash()

    carry_out(remedies.book_cash(decision("cash_unknown"), account=AccountCode.WALLET_PAID, organization=ada))

    assert (owing, balance_cents(ada)) == (-200, 300)
    assert CreditLot.objects.latest("pk").remaining_nano == cents_to_nanos(300)
    assert still_open() == []
    assert_books_agree(shop)


def test_a_journal_that_stripe_knows_nothing_of_is_taken_back(shop: Shop) -> None:
    cent = cents_to_nanos(1)
    slip = slip_of_the_pen()
    items.note(
        kind="cash_unheard",
        subject=slip.idempotency_key,
        ours="1 cents",
        theirs="no movement",
        missing_nano=-cent,
    )

    journal = carry_out(remedies.book_cash(decision("cash_unheard"), account=AccountCode.STRIPE_FEES))

    assert {code: -amount for code, amount in ledger.legs_of(slip).items()} == ledger.legs_of(journal)
    assert still_open() == []
    assert_books_agree(shop)


def test_a_journal_that_settles_less_than_stripe_moved_leaves_an_item(shop: Shop) -> None:
    shop.fake.order("movements", {"type": "transfer", "amount": -700})
    reconciliation.reconcile_cash()
    nano = cents_to_nanos(699)
    short = ledger.post(
        key="by hand",
        kind=JournalKind.CORRECTION,
        legs={AccountCode.BANK: nano, AccountCode.STRIPE_CLEARING: -nano},
        organization=None,
        reason=WHY,
        actor=WHO,
    )
    items.close(only("cash_unknown"), by=WHO, note=WHY, journal=short)

    found = still_open()

    assert sorted(found) == ["cash_differs", "cash_total"]
    assert only("cash_differs").missing_nano == -cents_to_nanos(1)


def test_an_amount_that_has_changed_since_it_was_shown_is_not_booked(shop: Shop) -> None:
    shop.fake.order("movements", {"type": "transfer", "amount": -700})
    reconciliation.reconcile_cash()
    draft = remedies.book_cash(decision("cash_total"), account=AccountCode.ROUNDING)
    shown = drafts.show(draft)
    shop.fake.order("movements", {"type": "transfer", "amount": -1})
    reconciliation.reconcile_cash()

    with pytest.raises(drafts.Changed):
        drafts.book(draft, shown=shown)

    assert only("cash_total").missing_nano == -cents_to_nanos(701)


@pytest.mark.django_db(transaction=True)
def test_of_two_members_of_staff_at_once_one_settles_an_item(shop: Shop) -> None:
    shop.fake.order("movements", {"type": "transfer", "amount": -700})
    reconciliation.reconcile_cash()
    draft = remedies.book_cash(decision("cash_unknown"), account=AccountCode.BANK)
    shown, start, ends = drafts.show(draft), threading.Barrier(4), list[str]()

    def click() -> None:
        start.wait()
        try:
            drafts.book(draft, shown=shown)
            ends.append("booked")
        except items.AlreadyClosed:
            ends.append("closed before")
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ends) == ["booked", *["closed before"] * 3]
    assert Journal.objects.filter(kind=JournalKind.CORRECTION).count() == 1


def test_an_item_is_closed_with_a_word_once(shop: Shop) -> None:
    item = items.note(kind="meter_differs", subject="org_1 2026-03-01", ours="1", theirs="2")

    with pytest.raises(NoReason):
        items.explain(item, by=WHO, reason=" ")
    items.explain(item, by=WHO, reason="Stripe counts late")
    with pytest.raises(items.AlreadyClosed) as closed:
        items.explain(item, by="user:8", reason="Me too")

    assert (closed.value.item.closed_by, closed.value.item.note) == (WHO, "Stripe counts late")
    assert closed.value.item.state == "explained"


@pytest.mark.parametrize(
    ("kind", "missing", "remedy"),
    [
        ("orphan_payment", None, Remedy.CREDIT),
        ("payment_mismatch", None, Remedy.CREDIT),
        ("cash_missing", 5, Remedy.BOOK),
        ("cash_unknown", None, None),
        ("books", None, None),
        ("second_payment", None, None),
    ],
)
def test_what_can_be_settled_by_a_journal(kind: str, missing: int | None, remedy: Remedy | None) -> None:
    item = items.note(kind=kind, subject="s", ours="o", theirs="t", missing_nano=missing)
    assert remedies.remedy_of(item) == remedy

    items.explain(item, by=WHO, reason=WHY)
    item.refresh_from_db()

    assert remedies.remedy_of(item) is None


@pytest.mark.parametrize("account", [AccountCode.USAGE_REVENUE, AccountCode.WALLET_PAID])
def test_cash_is_booked_against_no_other_account_and_no_wallet_of_nobody(account: AccountCode) -> None:
    item = items.note(kind="cash_missing", subject="s", ours="o", theirs="t", missing_nano=5)

    with pytest.raises(remedies.NoRemedy):
        remedies.book_cash(Decision(item, WHY, WHO), account=account)

    assert not Wallet.objects.exists()
