"""What is paid back on our own word: part by part, never more than was paid, each part one journal."""

from __future__ import annotations

import pytest
import stripe

from accounts.models import Organization
from billing import refunds, sync, wallets
from billing.models import Journal, JournalKind, Refund, RefundStatus
from tests.billing.stripe.books import assert_books_agree, balance_cents
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop


def test_thirty_thirty_and_forty_percent_are_three_journals_and_a_fourth_part_is_refused(
    buy: Buy, shop: Shop, ada: Organization
) -> None:
    top_up = buy(1_000)

    for cents in (300, 300, 400):
        sync.send_refund(refunds.request(top_up=top_up, cents=cents, actor="user:1"))
    with pytest.raises(refunds.NotRefundable) as refused:
        refunds.request(top_up=top_up, cents=1, actor="user:1")
    with pytest.raises(stripe.InvalidRequestError):
        shop.refund(top_up.stripe_intent or "", 1)

    [charge] = shop.api.charges.list().data
    assert (charge.refunded, charge.amount_refunded, refused.value.left_cents) == (True, 1_000, 0)
    assert Journal.objects.filter(kind=JournalKind.REFUND).count() == 3
    assert set(Refund.objects.values_list("status", flat=True)) == {RefundStatus.SUCCEEDED}
    assert balance_cents(ada) == 0
    assert_books_agree(shop)


def test_part_of_a_cent_stays_in_the_wallet(buy: Buy, shop: Shop, ada: Organization) -> None:
    top_up = buy(1_000)
    wallets.change(wallets.of(ada), balance_by=-1)

    assert refunds.refundable_cents(top_up) == 999
