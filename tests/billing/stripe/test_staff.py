"""What staff does about Stripe from the admin: sync a top-up, credit a payment, write off a lost dispute."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Organization, User
from billing import reconciliation
from billing.admin.base import page_of
from billing.models import Dispute, ReconciliationItem, TopUp, Wallet
from billing.sync import sync
from tests.billing.stripe.books import assert_books_agree, balance_cents, spend
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop
from tests.billing.test_staff_bookings import confirm, preview, tool

LIST = "/admin/billing/topup/"


def sync_now(client: Client, *top_ups: TopUp) -> str:
    chosen = {
        "action": "sync_now",
        "_selected_action": [top_up.pk for top_up in top_ups],
        "reason": "Paid and not credited",
    }
    return client.post(LIST, chosen, follow=True).content.decode()


def test_a_payment_that_nobody_told_of_is_fetched_by_hand(
    staff: Client, shop: Shop, ada: Organization
) -> None:
    top_up = shop.pay(ada, 1_000)

    first, second = sync_now(staff, top_up), sync_now(staff, top_up)

    assert f"{top_up.pk} was Waiting for payment, is Succeeded." in first
    assert f"{top_up.pk} is Succeeded, as before." in second
    assert balance_cents(ada) == 1_000
    assert_books_agree(shop)


def test_while_stripe_is_away_staff_is_told_and_nothing_moves(
    staff: Client, shop: Shop, ada: Organization
) -> None:
    top_up = shop.pay(ada, 1_000)
    shop.fake.order("faults", {"faults": [{"status": 503}]})

    page = sync_now(staff, top_up)

    assert f"{top_up.pk}: StripeUnavailable" in page
    assert TopUp.objects.get().status == "open"


def test_only_who_may_syncs(client: Client, shop: Shop, ada: Organization) -> None:
    top_up = shop.pay(ada, 1_000)
    clerk = User.objects.create_user("clerk@example.org", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_topup"))
    client.force_login(clerk)

    sync_now(client, top_up)
    before = TopUp.objects.get().status
    clerk.user_permissions.add(Permission.objects.get(codename="sync_topup"))
    sync_now(client, top_up)

    assert (before, TopUp.objects.get().status) == ("open", "succeeded")


def test_a_payment_of_nobody_is_credited_from_its_item(
    staff: Client, root: User, shop: Shop, ada: Organization
) -> None:
    shop.pay_as_a_stranger()
    reconciliation.reconcile_cash()
    item = ReconciliationItem.objects.get(kind="orphan_payment")

    credit = tool(item, "credit")
    assert credit in staff.get(page_of(item)).content.decode()
    page, sent = preview(staff, credit, organization=ada.pk, reason="Wrote to support")
    confirm(staff, credit, sent)
    again = confirm(staff, credit, sent).content.decode()

    item.refresh_from_db()
    assert "$7.000000000" in page
    assert (item.state, item.closed_by, balance_cents(ada)) == ("fixed", f"user:{root.pk}", 700)
    assert "has closed this item before" in again
    assert_books_agree(shop)


@pytest.fixture
def lost(buy: Buy, shop: Shop, ada: Organization) -> Dispute:
    intent = buy(1_000).stripe_intent or ""
    spend(ada, 600)
    name = shop.dispute(intent)
    sync(intent)
    shop.decide(name, "lost")
    sync(intent)
    return Dispute.objects.get(pk=name)


def test_a_lost_dispute_is_written_off_from_its_page_once(
    staff: Client, root: User, shop: Shop, ada: Organization, lost: Dispute
) -> None:
    address = tool(lost, "write-off")
    before = staff.get(page_of(lost)).content.decode()

    page, sent = preview(staff, address, reason="Uncollectible")
    confirm(staff, address, sent)
    again = confirm(staff, address, sent).content.decode()

    lost.refresh_from_db()
    after = staff.get(page_of(lost)).content.decode()
    assert address in before
    assert "-$6.000000000" in before
    assert "Dispute loss" in page
    assert lost.write_off is not None
    assert (lost.write_off.reason, lost.write_off.actor) == ("Uncollectible", f"user:{root.pk}")
    assert (balance_cents(ada), Wallet.objects.get().state) == (0, "active")
    assert "booked before" in again
    assert address not in after
    assert page_of(lost.write_off) in after


def test_a_dispute_that_may_be_won_is_not_offered_for_it(
    staff: Client, shop: Shop, buy: Buy, ada: Organization
) -> None:
    intent = buy(1_000).stripe_intent or ""
    spend(ada, 600)
    dispute_id = shop.dispute(intent)
    sync(intent)
    dispute = Dispute.objects.get(pk=dispute_id)

    page, _ = preview(staff, tool(dispute, "write-off"), reason="Too early")

    assert tool(dispute, "write-off") not in staff.get(page_of(dispute)).content.decode()
    assert "Only a dispute that is lost" in page
    assert balance_cents(ada) == -600


def test_only_who_may_writes_off(client: Client, lost: Dispute) -> None:
    clerk = User.objects.create_user("clerk@example.org", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_dispute"))
    client.force_login(clerk)

    assert client.post(tool(lost, "write-off"), {"reason": "r"}).status_code == 403
    assert tool(lost, "write-off") not in client.get(page_of(lost)).content.decode()
