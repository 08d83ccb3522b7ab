"""Stripe is away for ten minutes: nobody's request fails for it, and afterwards everything happens once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client

from accounts.models import Organization
from billing import checkout, opening, refunds, sync, tasks
from billing.models import Journal, PaymentMethod, Refund, RefundStatus, TopUp
from billing.stripe_api import patience
from billing.stripe_api.client import StripeUnavailable
from billing.stripe_api.patience import Patience
from tests.billing.cast import make_organization
from tests.billing.stripe.books import assert_books_agree, balance_cents, reconcile, row_versions, spend
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop
from tests.billing.stripe.test_taken_back import is_admitted
from tests.billing.stripe.test_webhooks import body_of, send, signature

# The connection is cut, or an error comes; before anything has happened, and once after it has.
AWAY = [
    {"hang_s": 0.01, "when": "after", "count": 1, "method": "POST", "path": "/v1/payment_intents"},
    {"hang_s": 0.01, "rate": 0.5},
    {"status": 503},
]
TASKS: tuple[Callable[[], None], ...] = (
    tasks.poll_stripe,
    tasks.follow_top_ups,
    tasks.resend_refunds,
    tasks.top_up_automatically,
    tasks.resume_auto_top_ups,
    tasks.mail_about_money,
)


def time_passes(shop: Shop, step: timedelta = timedelta(seconds=150)) -> None:
    """Let every task run, and everything be that much older."""
    for task in TASKS:
        task()
    shop.fake.order("clock", {"advance_s": step.total_seconds()})
    for model in (TopUp, Refund):
        model._default_manager.update(created_at=F("created_at") - step)


pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENT", Patience(connect_s=0.5, answer_s=0.5, retries=0))
    monkeypatch.setattr(patience, "HURRIED", Patience(connect_s=0.5, answer_s=0.5, retries=0))


@pytest.mark.usefixtures("_hasty")
def test_after_ten_minutes_without_stripe_everything_has_happened_once(
    buy: Buy, shop: Shop, ada: Organization, card: PaymentMethod, client: Client
) -> None:
    bought = buy(2_000)
    bob = make_organization("bob@example.com")
    spend(ada, 1_200)
    shop.pay(bob, 1_000)
    event = body_of(shop)
    opening.open_organization(ada.pk)
    shop.fake.order("faults", {"faults": AWAY})

    wanted = refunds.request(top_up=bought, cents=300, actor="user:1")
    with pytest.raises(StripeUnavailable):
        sync.send_refund(wanted)
    refused = send(client, event, signature(event))
    for _ in range(4):
        time_passes(shop)
        assert is_admitted(ada)
    during = (balance_cents(ada), balance_cents(bob))
    shop.fake.order("faults", {"faults": []})
    for _ in range(3):
        time_passes(shop)

    assert (refused, during) == (500, (500, 0))
    assert send(client, event, signature(event)) == 200
    assert sorted(each.amount for each in shop.intents()) == [1_000, 2_000, 4_500]
    assert [each.amount for each in shop.api.refunds.list().data] == [300]
    assert (balance_cents(ada), balance_cents(bob)) == (5_000, 1_000)
    assert_books_agree(shop)
    assert reconcile()[0] == 0
    before = row_versions()
    time_passes(shop)
    assert reconcile()[0] == 0
    assert {name for name, mark in row_versions().items() if mark != before[name]} <= {"topup", "refund"}


def test_a_refund_that_cannot_be_sent_holds_up_no_other(
    buy: Buy, shop: Shop, ada: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = buy(1_000), buy(1_000)
    lost = refunds.request(top_up=first, cents=100, actor="user:1")
    other = refunds.request(top_up=second, cents=200, actor="user:1")
    TopUp.objects.filter(pk=first.pk).update(stripe_intent="pi_of_another_account")

    tasks.resend_refunds()

    lost.refresh_from_db()
    other.refresh_from_db()
    assert (lost.status, other.status) == (RefundStatus.REQUESTED, RefundStatus.SUCCEEDED)
    assert Journal.objects.filter(idempotency_key=f"refund:{other.pk}").count() == 1


def test_a_top_up_that_stripe_knows_nothing_of_holds_up_no_other(shop: Shop, ada: Organization) -> None:
    unknown, _ = shop.open(ada, 1_000)
    shop.pay(ada, 2_500)
    TopUp.objects.filter(pk=unknown.pk).update(stripe_session="cs_of_another_account")

    followed = checkout.follow_pending(older_than=timedelta(0))

    assert (followed, balance_cents(ada)) == (2, 2_500)
