"""Staff's lists of money: paged, searched, read with a handful of queries, for those who may see them, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Organization, User
from billing import ledger, runs
from billing.admin.base import page_of, quoted
from billing.models import (
    AccountCode,
    AutoTopUp,
    CreditLot,
    DeadLetter,
    Dispute,
    Journal,
    JournalKind,
    LotKind,
    PaymentMethod,
    ReconciliationItem,
    ReconciliationRun,
    Refund,
    StripeCustomer,
    StripeEvent,
    TopUp,
    UsageRecord,
    Wallet,
)
from billing.settlement import settle_batch
from tests.billing.cast import make_organization, usage

pytestmark = pytest.mark.django_db
MANY = 200
READ = [
    AutoTopUp, CreditLot, DeadLetter, Dispute, Journal, PaymentMethod, ReconciliationItem, ReconciliationRun, Refund,
    StripeEvent, TopUp, UsageRecord, Wallet,
]  # fmt: skip


def journal(organization: Organization, number: int) -> Journal:
    return ledger.post(
        key=f"key_{number}",
        kind=JournalKind.ADJUSTMENT,
        legs={AccountCode.PROMO_EXPENSE: 5, AccountCode.WALLET_PROMO: -5},
        organization=organization,
        reason="Test",
        actor="user:1",
    )


def top_up(organization: Organization, number: int) -> TopUp:
    return TopUp.objects.create(
        organization=organization,
        amount_cents=1_234,
        source="checkout",
        actor="user:1",
        stripe_intent=f"pi_{number}",
    )


def card(organization: Organization, number: int) -> PaymentMethod:
    customer, _ = StripeCustomer.objects.get_or_create(
        organization=organization, defaults={"stripe_id": f"cus_{organization.pk}"}
    )
    return PaymentMethod.objects.create(
        organization=organization,
        customer=customer,
        stripe_id=f"pm_{number}",
        brand="visa",
        last4="4242",
        expires_year=2034,
        expires_month=1,
    )


def item(organization: Organization, number: int) -> ReconciliationItem:
    return ReconciliationItem.objects.create(
        kind="cash_missing",
        subject=f"txn_{number}",
        ours="no journal",
        theirs="charge of 700 cents",
        missing_nano=7_000_000_000,
    )


def run(organization: Organization, number: int) -> ReconciliationRun:
    begun = timezone.now()
    made = ReconciliationRun.objects.create(kind="cash", since=begun)
    item(organization, number)
    return runs.finish(made, compared=1, begun=begun)


def lot(organization: Organization, number: int) -> CreditLot:
    return CreditLot.objects.create(
        organization=organization,
        kind=LotKind.ADJUSTMENT,
        granted_nano=5,
        remaining_nano=5,
        priority=1,
        journal=journal(organization, number),
    )


def dispute(organization: Organization, number: int) -> Dispute:
    return Dispute.objects.create(
        stripe_id=f"du_{number}",
        top_up=top_up(organization, number),
        amount_cents=1_234,
        status="needs_response",
        reason="fraudulent",
        opened_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def record(organization: Organization, number: int) -> UsageRecord:
    settle_batch([usage(organization, request_id=f"req_{number}")])
    return UsageRecord.objects.get(pk=f"req_{number}")


def auto(organization: Organization, number: int) -> AutoTopUp:
    return AutoTopUp.objects.create(
        organization=make_organization(f"auto{number}@example.org"),
        threshold_cents=500,
        target_cents=2_000,
        month_cap_cents=10_000,
    )


def wallet(organization: Organization, number: int) -> Wallet:
    return Wallet.objects.create(organization=make_organization(f"wallet{number}@example.org"))


MAKERS: dict[type[Any], Callable[[Organization, int], Any]] = {
    AutoTopUp: auto,
    CreditLot: lot,
    DeadLetter: lambda _, number: DeadLetter.objects.create(fingerprint=str(number), payload="{}"),
    Dispute: dispute,
    Journal: journal,
    PaymentMethod: card,
    ReconciliationItem: item,
    ReconciliationRun: run,
    Refund: lambda owner, number: Refund.objects.create(
        top_up=top_up(owner, number), amount_cents=100, actor="user:1"
    ),
    StripeEvent: lambda _, number: StripeEvent.objects.create(
        stripe_id=f"evt_{number}", kind="payout.paid", created_at=timezone.now()
    ),
    TopUp: top_up,
    UsageRecord: record,
    Wallet: wallet,
}


def list_of(model: type[Any]) -> str:
    return f"/admin/billing/{model.__name__.lower()}/"


@pytest.mark.parametrize("model", READ)
def test_a_list_is_paged_and_read_with_a_handful_of_queries(
    staff: Client,
    organization: Organization,
    model: type[Any],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(MANY):
        MAKERS[model](organization, number)

    with django_assert_max_num_queries(15):
        page = staff.get(list_of(model))

    last = staff.get(list_of(model), {"p": 4})
    assert (page.context["cl"].result_count, len(page.context["cl"].result_list)) == (MANY, 50)
    assert len(last.context["cl"].result_list) == 50
    assert not set(page.context["cl"].result_list) & set(last.context["cl"].result_list)


@pytest.mark.parametrize("model", READ)
def test_a_row_can_be_read_and_neither_added_nor_changed_nor_deleted(
    staff: Client,
    organization: Organization,
    model: type[Any],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    page = page_of(MAKERS[model](organization, 1))

    with django_assert_max_num_queries(20):
        assert staff.get(page).status_code == 200

    assert staff.post(page, {}).status_code == 403
    assert staff.post(page.replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403
    assert staff.get(f"{list_of(model)}add/").status_code == 403


@pytest.mark.parametrize("model", READ)
def test_only_who_may_see_a_table_sees_it(
    client: Client, organization: Organization, model: type[Any]
) -> None:
    page = page_of(MAKERS[model](organization, 1))
    clerk = User.objects.create_user("clerk@example.org", is_staff=True)
    client.force_login(clerk)
    before = (client.get(list_of(model)).status_code, client.get(page).status_code)

    clerk.user_permissions.add(Permission.objects.get(codename=f"view_{model.__name__.lower()}"))

    assert before == (403, 403)
    assert (client.get(list_of(model)).status_code, client.get(page).status_code) == (200, 200)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (TopUp, "pi_7"),
        (PaymentMethod, "pm_7"),
        (Dispute, "du_7"),
        (Refund, "pi_7"),
        (ReconciliationItem, "txn_7"),
        (ReconciliationRun, "txn_7"),
        (Journal, "key_7"),
        (StripeEvent, "evt_7"),
    ],
)
def test_a_list_is_searched_by_the_names_that_stripe_and_we_use(
    staff: Client, organization: Organization, model: type[Any], words: str
) -> None:
    for number in (6, 7, 8):
        MAKERS[model](organization, number)

    page = staff.get(list_of(model), {"q": words})

    assert page.context["cl"].result_count == 1


def test_a_wallets_page_leads_to_everything_of_its_owner(staff: Client, organization: Organization) -> None:
    Wallet.objects.create(organization=organization)
    stranger = make_organization("ben@example.org")
    for maker in (lot, dispute):
        maker(organization, 1)
        maker(stranger, 2)
    for disputed in TopUp.objects.all():
        Refund.objects.create(top_up=disputed, amount_cents=1, actor="stripe")
    page = staff.get(page_of(Wallet.objects.get())).content.decode()

    for model in (CreditLot, Dispute, Journal, Refund, TopUp):
        address = f"{list_of(model)}?q={organization.pk}"
        assert address in page
        assert staff.get(address).context["cl"].result_count == 1


def test_open_items_are_found_by_state_kind_and_subject(staff: Client, organization: Organization) -> None:
    for number, (kind, subject, state) in enumerate(
        [
            ("cash_missing", "txn_1", "open"),
            ("orphan_payment", "pi_1", "open"),
            ("meter_differs", f"{organization.pk} 2026-03-01", "explained"),
        ]
    ):
        ReconciliationItem.objects.create(
            kind=kind, subject=subject, state=state, ours=f"o{number}", theirs="t"
        )

    def found(**filters: str) -> list[str]:
        page = staff.get(list_of(ReconciliationItem), filters).content.decode()
        return [name for name in ("o0", "o1", "o2") if f">{name}<" in page]

    assert found() == ["o0", "o1", "o2"]
    assert found(**{"is": "open"}) == ["o0", "o1"]
    assert found(**{"is": "closed"}) == found(**{"is": "explained"}) == ["o2"]
    assert found(kind="orphan_payment") == found(about="pi_") == ["o1"]
    assert found(about="org_") == ["o2"]


def test_an_item_says_what_each_side_says_and_a_run_what_it_found(
    staff: Client, organization: Organization
) -> None:
    found = run(organization, 1)
    known = ReconciliationItem.objects.get()
    booked = ledger.post(
        key="stripe_fee:txn_1",
        kind=JournalKind.STRIPE,
        legs={AccountCode.STRIPE_FEES: 5, AccountCode.STRIPE_CLEARING: -5},
        organization=None,
        reason="Stripe's fee",
        actor="stripe",
    )

    about_item = staff.get(page_of(known)).content.decode()
    about_run = staff.get(page_of(found)).content.decode()

    assert "no journal" in about_item
    assert "charge of 700 cents" in about_item
    assert "$7.000000000" in about_item
    assert page_of(booked) in about_item
    assert page_of(found) in about_item
    assert page_of(known) in about_run


def test_a_journals_page_shows_its_legs_its_actor_and_what_it_settles(
    staff: Client, organization: Organization, root: User
) -> None:
    booked = ledger.post(
        key="k",
        kind=JournalKind.CORRECTION,
        legs={AccountCode.BANK: 7_000_000_000, AccountCode.STRIPE_CLEARING: -7_000_000_000},
        organization=None,
        reason="Paid out twice",
        actor=f"user:{root.pk}",
    )
    settled = item(organization, 1)
    ReconciliationItem.objects.update(journal=booked, state="fixed")

    page = staff.get(page_of(booked)).content.decode()

    assert "$7.000000000" in page
    assert "-$7.000000000" in page
    assert f"root@example.org (user:{root.pk})" in page
    assert page_of(settled) in page


def test_a_key_whose_letters_look_like_an_escape_leads_to_its_own_page(staff: Client, db: None) -> None:
    owner = make_organization("odd@example.org")
    odd = TopUp.objects.create(
        id="top_5Fabc", organization=owner, amount_cents=500, source="checkout", actor="x"
    )

    assert quoted(odd) != odd.pk
    assert "top_5Fabc" in staff.get(page_of(odd)).content.decode()
