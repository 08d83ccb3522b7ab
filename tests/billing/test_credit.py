"""Credit: granted once, consumed in order, expired in time; lots always equal the ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import redis
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts import plans
from accounts.models import Organization
from billing import grants, holds, ledger, lots, opening, posting, topups, wallets
from billing.models import AccountCode, CreditLot, Journal, LotKind, Wallet
from billing.settlement import settle_batch
from fastanchor.lib.money import NANOS_PER_USD
from tests.billing.cast import make_organization, no_valkey, usage

pytestmark = pytest.mark.django_db


def grant(organization: Organization, amount: int, key: str = "g", **changes: object) -> Journal:
    values = {
        "organization": organization,
        "amount_nano": amount,
        "reason": "Test",
        "key": key,
        "actor": "system",
    }
    return grants.grant(**{**values, **changes})  # type: ignore[arg-type]


def spend(organization: Organization, nano: int) -> None:
    settle_batch([usage(organization, cost_nano=nano, cost_picos=nano * 1000)])


def remaining(organization: Organization) -> list[tuple[str, int]]:
    return list(
        CreditLot.objects.filter(organization=organization)
        .order_by("pk")
        .values_list("kind", "remaining_nano")
    )


def test_a_grant_becomes_balance_and_reaches_valkey(organization: Organization, valkey: redis.Redis) -> None:
    opening.open_organization(organization.pk)

    grant(organization, 500)

    assert wallets.of(organization).balance_nano == 500
    known = holds.known_wallet(valkey, organization.pk)
    assert known is not None
    assert known.balance_nano == 500


def test_a_grant_with_a_known_key_changes_nothing(organization: Organization) -> None:
    first = grant(organization, 500)

    assert grant(organization, 500) == first
    assert wallets.of(organization).balance_nano == 500
    assert remaining(organization) == [("promo", 500)]


@pytest.mark.parametrize("change", [{"amount": 501}, {"kind": LotKind.ADJUSTMENT}])
def test_a_grant_with_another_content_under_a_known_key_is_refused(
    organization: Organization, change: dict[str, object]
) -> None:
    grant(organization, 500)

    with pytest.raises(ledger.KeyReused):
        grant(**{"organization": organization, "amount": 500, **change})  # type: ignore[arg-type]

    assert wallets.of(organization).balance_nano == 500


@pytest.mark.parametrize("amount", [0, -1])
def test_credit_is_more_than_nothing(organization: Organization, amount: int) -> None:
    with pytest.raises(lots.AmountNotPositive):
        grant(organization, amount)


def test_the_signup_credit_is_five_dollars_for_ninety_days(organization: Organization) -> None:
    journal = grants.grant_signup_credit(organization=organization)

    lot = CreditLot.objects.get(journal=journal)
    assert (lot.kind, lot.remaining_nano) == (LotKind.PROMO, 5 * NANOS_PER_USD)
    assert lot.expires_at is not None
    assert abs(lot.expires_at - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize("email", ["alice@example.org", "Alice+again@Example.org"])
def test_the_signup_credit_is_granted_once_per_person(organization: Organization, email: str) -> None:
    grants.grant_signup_credit(organization=organization)
    owner = organization.members.get()
    owner.email = "gone@example.org"
    owner.save()

    with pytest.raises(grants.AlreadyGranted):
        grants.grant_signup_credit(organization=make_organization(email))


def test_the_signup_credit_is_granted_once_per_organization(organization: Organization) -> None:
    grants.grant_signup_credit(organization=organization)
    owner = organization.members.get()
    owner.email = "another@example.org"
    owner.save()

    with pytest.raises(grants.AlreadyGranted):
        grants.grant_signup_credit(organization=organization)

    assert wallets.of(organization).balance_nano == 5 * NANOS_PER_USD


def test_parallel_signups_of_one_person_get_one_credit(transactional_db: None) -> None:
    mailboxes = ["al.ice@gmail.com", "alice@gmail.com", "alice+1@gmail.com", "alice@googlemail.com"]
    organizations = [make_organization(email) for email in mailboxes] * 2

    def attempt(organization: Organization) -> bool:
        try:
            grants.grant_signup_credit(organization=organization)
        except grants.AlreadyGranted:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(attempt, organizations))

    assert granted.count(True) == 1
    assert sum(Wallet.objects.values_list("balance_nano", flat=True)) == 5 * NANOS_PER_USD


def test_a_plan_without_signup_credit_grants_none(organization: Organization) -> None:
    paying = make_organization("bob@example.org", plan=plans.PAY_AS_YOU_GO)

    with pytest.raises(grants.NotOffered):
        grants.grant_signup_credit(organization=paying)


def test_a_top_up_is_paid_credit_and_moves_free_to_pay_as_you_go(organization: Organization) -> None:
    journal = topups.record_top_up(organization=organization, cents=1_234, key="t", actor="system")
    again = topups.record_top_up(organization=organization, cents=1_234, key="t", actor="system")

    assert again == journal
    assert ledger.legs_of(journal) == {
        AccountCode.MANUAL_CLEARING: 12_340_000_000,
        AccountCode.WALLET_PAID: -12_340_000_000,
    }
    organization.refresh_from_db()
    assert organization.plan_id == plans.PAY_AS_YOU_GO
    assert wallets.of(organization).balance_nano == 12_340_000_000


def test_a_top_up_leaves_an_enterprise_where_it_is(organization: Organization) -> None:
    large = make_organization("bob@example.org", plan=plans.ENTERPRISE)

    topups.record_top_up(organization=large, cents=1, key="t", actor="system")

    large.refresh_from_db()
    assert large.plan_id == plans.ENTERPRISE


def test_usage_consumes_what_expires_first_and_what_was_bought_last(organization: Organization) -> None:
    soon, later = (timezone.now() + timedelta(days=days) for days in (1, 9))
    topups.record_top_up(organization=organization, cents=1, key="t1", actor="system")
    grant(organization, 100, key="g1", kind=LotKind.ADJUSTMENT)
    grant(organization, 200, key="g2")
    grant(organization, 300, key="g3", expires_at=later)
    grant(organization, 400, key="g4", expires_at=soon)
    topups.record_top_up(organization=organization, cents=1, key="t2", actor="system")

    seen = []
    for nano in (399, 2, 299, 300, 1, 10_000_000):
        spend(organization, nano)
        posting.post_usage()
        seen.append([left for _, left in remaining(organization)])

    cent = 10_000_000
    assert seen == [
        [cent, 100, 200, 300, 1, cent],
        [cent, 100, 200, 299, 0, cent],
        [cent, 100, 200, 0, 0, cent],
        [cent, 0, 0, 0, 0, cent],
        [cent - 1, 0, 0, 0, 0, cent],
        [0, 0, 0, 0, 0, cent - 1],
    ]


def test_posting_moves_usage_to_revenue_and_leaves_the_balance(organization: Organization) -> None:
    grant(organization, 600)
    spend(organization, 1_000)

    assert posting.post_usage() == 1

    wallet = wallets.of(organization)
    assert (wallet.balance_nano, wallet.unposted_nano) == (-400, 0)
    journal = Journal.objects.get(kind="usage")
    assert ledger.legs_of(journal) == {
        AccountCode.WALLET_PROMO: 600,
        AccountCode.WALLET_PAID: 400,
        AccountCode.USAGE_REVENUE: -1_000,
    }


def test_posting_twice_posts_once(organization: Organization) -> None:
    spend(organization, 1_000)

    assert [posting.post_usage(), posting.post_usage()] == [1, 0]
    assert ledger.credit_of(organization) == -1_000


def test_posting_in_parallel_posts_each_wallet_once(transactional_db: None) -> None:
    organizations = [make_organization(f"user{number}@example.org") for number in range(6)]
    for one in organizations:
        spend(one, 1_000)

    def post(_: int) -> int:
        try:
            return posting.post_usage()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(post, range(4))) == 6
    assert [ledger.credit_of(one) for one in organizations] == [-1_000] * 6


@pytest.mark.parametrize("kind", ["promo", "paid"])
def test_new_credit_pays_a_debt_before_it_becomes_a_lot(organization: Organization, kind: str) -> None:
    cent = 10_000_000
    spend(organization, cent // 4)
    posting.post_usage()

    if kind == "paid":
        topups.record_top_up(organization=organization, cents=1, key="t", actor="system")
    else:
        grant(organization, cent)

    assert remaining(organization) == [(kind, cent * 3 // 4)]
    assert ledger.credit_of(organization) == wallets.of(organization).balance_nano == cent * 3 // 4


def test_expired_credit_leaves_after_the_usage_it_paid_for(
    organization: Organization, valkey: redis.Redis
) -> None:
    now = timezone.now()
    grant(organization, 500, expires_at=now)
    grant(organization, 70, key="g2", expires_at=now + timedelta(days=1))
    opening.open_organization(organization.pk)
    spend(organization, 100)

    assert [posting.expire_lots(now=now), posting.expire_lots(now=now)] == [1, 0]

    assert remaining(organization) == [("promo", 0), ("promo", 70)]
    assert wallets.of(organization).balance_nano == ledger.credit_of(organization) == 70
    assert ledger.legs_of(Journal.objects.get(kind="expiry"))[AccountCode.BREAKAGE] == -400
    known = holds.known_wallet(valkey, organization.pk)
    assert known is not None
    assert known.balance_nano == 70


def test_credit_that_a_running_request_was_admitted_on_expires_only_later(
    organization: Organization, valkey: redis.Redis
) -> None:
    now = timezone.now()
    grant(organization, 500, expires_at=now)
    opening.open_organization(organization.pk)
    running = holds.RegisteredHold(organization.pk, "req_1", "key_alice", 120, is_running=True)
    holds.register(valkey, epoch=holds.ensure_epoch(valkey), holds=[running])

    posting.expire_lots(now=now)
    assert wallets.of(organization).balance_nano == 120
    settle_batch([usage(organization, request_id="req_1", cost_nano=100, cost_picos=100_000)])
    holds.publish(
        valkey,
        epoch=holds.ensure_epoch(valkey),
        wallet=wallets.published(wallets.of(organization)),
        settled=["req_1"],
    )
    posting.expire_lots(now=now)

    assert wallets.of(organization).balance_nano == 0
    assert remaining(organization) == [("promo", 0)]


def test_nothing_expires_while_holds_are_being_rebuilt(
    organization: Organization, settings: Settings
) -> None:
    settings.HOLD_REBUILD_GRACE_S = 30
    grant(organization, 500, expires_at=timezone.now())

    assert posting.expire_lots() == 0
    assert wallets.of(organization).balance_nano == 500


def test_the_balance_shows_what_is_held_and_what_expires(
    organization: Organization, valkey: redis.Redis
) -> None:
    soon: datetime = timezone.now() + timedelta(days=1)
    grant(organization, 500, expires_at=soon)
    grant(organization, 300, key="g2", expires_at=soon + timedelta(days=1))
    topups.record_top_up(organization=organization, cents=1, key="t", actor="system")
    opening.open_organization(organization.pk)
    spend(organization, 450)
    running = holds.RegisteredHold(organization.pk, "req_1", "key_alice", 120, is_running=True)
    holds.register(valkey, epoch=holds.ensure_epoch(valkey), holds=[running])

    view = wallets.balance_of(organization)

    assert view == wallets.WalletView(10_000_350, 120, 10_000_230, 350, soon, "active")


def test_without_valkey_the_balance_is_shown_and_holds_are_unknown(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant(organization, 500)
    monkeypatch.setattr(wallets, "sync_client", no_valkey)
    grant(organization, 100, key="g2")

    view = wallets.balance_of(organization)

    assert (view.balance_nano, view.held_nano, view.available_nano) == (600, None, 600)


@pytest.mark.parametrize("state", ["frozen_dispute", "frozen_fraud", "closed"])
def test_a_wallet_that_is_not_active_has_nothing_to_spend(organization: Organization, state: str) -> None:
    grant(organization, 500)
    Wallet.objects.update(state=state, version=9)

    assert wallets.of(organization).spendable_nano == 0


def test_a_credit_line_may_be_spent(organization: Organization) -> None:
    grant(organization, 500)
    Wallet.objects.update(floor_nano=-1_000, version=9)

    assert wallets.of(organization).spendable_nano == 1_500
