"""Credit that staff gives and takes: shown first, booked as shown, once, and never more than there is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.audit import NoReason
from accounts.models import Organization
from billing import (
    adjustments,
    aside,
    audit,
    drafts,
    grants,
    ledger,
    lots,
    opening,
    topups,
    transactions,
    wallets,
)
from billing.models import AccountCode, CreditLot, Journal, JournalKind, Wallet, WalletState
from billing.settlement import settle_batch
from tests.billing.cast import usage

DOLLAR = 1_000_000_000
WHO, WHY = "user:7", "Outage of 3 March"


def give(organization: Organization, nano: int, key: str = "adjustment:1") -> drafts.Draft:
    return adjustments.give(organization=organization, amount_nano=nano, reason=WHY, key=key, actor=WHO)


def take(organization: Organization, nano: int, key: str = "adjustment:1") -> drafts.Draft:
    return adjustments.take(organization=organization, amount_nano=nano, reason=WHY, key=key, actor=WHO)


def balance(organization: Organization) -> int:
    return Wallet.objects.get(organization=organization).balance_nano


def spend(organization: Organization, nano: int) -> None:
    settle_batch([usage(organization, cost_nano=nano, cost_picos=nano * 1000, hold_nano=nano)])


def assert_sound() -> None:
    assert [check for check in audit.stored_checks() if not check.ok] == []


def test_what_is_shown_is_not_booked_and_what_is_booked_is_what_was_shown(organization: Organization) -> None:
    draft = give(organization, 5 * DOLLAR)

    shown = drafts.show(draft)
    nothing = (Journal.objects.count(), CreditLot.objects.count(), wallets.of(organization).balance_nano)
    journal = drafts.book(draft, shown=shown)

    assert nothing == (0, 0, 0)
    assert (
        shown
        == ledger.legs_of(journal)
        == {
            AccountCode.PROMO_EXPENSE: 5 * DOLLAR,
            AccountCode.WALLET_PROMO: -5 * DOLLAR,
        }
    )
    assert (journal.reason, journal.actor, journal.kind) == (WHY, WHO, JournalKind.ADJUSTMENT)
    assert balance(organization) == 5 * DOLLAR
    assert_sound()


def test_a_second_click_gives_nothing_more(organization: Organization) -> None:
    draft = give(organization, 5 * DOLLAR)
    shown = drafts.show(draft)

    first, second = drafts.book(draft, shown=shown), drafts.book(draft, shown=shown)

    assert (first, balance(organization)) == (second, 5 * DOLLAR)


def test_what_is_given_may_expire(organization: Organization) -> None:
    ends = timezone.now() + timedelta(days=30)
    draft = adjustments.give(
        organization=organization, amount_nano=1, reason=WHY, key="a", actor=WHO, expires_at=ends
    )

    drafts.book(draft, shown=drafts.show(draft))

    assert CreditLot.objects.get().expires_at == ends


def test_credit_is_taken_in_the_order_of_its_use_and_after_what_was_used(organization: Organization) -> None:
    grants.grant(organization=organization, amount_nano=3 * DOLLAR, reason="g", key="g", actor="x")
    topups.record_top_up(organization=organization, cents=1_000, key="t", actor="x")
    spend(organization, DOLLAR)
    draft = take(organization, 4 * DOLLAR)

    shown = drafts.show(draft)
    drafts.book(draft, shown=shown)

    assert shown == {
        AccountCode.WALLET_PROMO: 2 * DOLLAR,
        AccountCode.WALLET_PAID: 2 * DOLLAR,
        AccountCode.PROMO_EXPENSE: -4 * DOLLAR,
    }
    assert balance(organization) == 8 * DOLLAR
    assert_sound()


def test_no_more_is_taken_than_there_is(organization: Organization) -> None:
    drafts.book(give(organization, DOLLAR), shown=drafts.show(give(organization, DOLLAR)))

    with pytest.raises(adjustments.MoreThanLeft) as refused:
        drafts.show(take(organization, DOLLAR + 1, "adjustment:2"))

    assert refused.value.left_nano == DOLLAR
    assert balance(organization) == DOLLAR


def test_what_running_requests_hold_is_not_taken(organization: Organization) -> None:
    drafts.book(give(organization, DOLLAR), shown=drafts.show(give(organization, DOLLAR)))
    opening.open_organization(organization.pk)
    aside.set_aside(organization_id=organization.pk, name="a running request", amount_nano=DOLLAR // 2)
    draft = take(organization, DOLLAR, "adjustment:2")
    shown = drafts.show(draft)

    with pytest.raises(aside.NotLeft):
        drafts.book(draft, shown=shown)

    assert balance(organization) == DOLLAR


def test_a_second_click_takes_nothing_more(organization: Organization) -> None:
    drafts.book(give(organization, DOLLAR), shown=drafts.show(give(organization, DOLLAR)))
    draft = take(organization, DOLLAR // 4, "adjustment:2")
    shown = drafts.show(draft)

    first, second = drafts.book(draft, shown=shown), drafts.book(draft, shown=shown)

    assert (first, balance(organization)) == (second, DOLLAR - DOLLAR // 4)


def test_what_has_changed_since_it_was_shown_is_not_booked(organization: Organization) -> None:
    grants.grant(organization=organization, amount_nano=2 * DOLLAR, reason="g", key="g", actor="x")
    topups.record_top_up(organization=organization, cents=1_000, key="t", actor="x")
    draft = take(organization, 2 * DOLLAR)
    shown = drafts.show(draft)
    spend(organization, DOLLAR)

    with pytest.raises(drafts.Changed) as changed:
        drafts.book(draft, shown=shown)

    assert changed.value.legs[AccountCode.WALLET_PROMO] == DOLLAR
    assert balance(organization) == 11 * DOLLAR
    assert not Journal.objects.filter(kind=JournalKind.ADJUSTMENT).exists()


@pytest.mark.parametrize("reason", ["", "  "])
def test_nothing_is_given_or_taken_without_a_reason(organization: Organization, reason: str) -> None:
    for draft in (adjustments.give, adjustments.take):
        with pytest.raises(NoReason):
            draft(organization=organization, amount_nano=1, reason=reason, key="k", actor=WHO)


@pytest.mark.parametrize("nano", [0, -1])
def test_nothing_and_less_is_refused(organization: Organization, nano: int) -> None:
    for draft in (give(organization, nano), take(organization, nano)):
        with pytest.raises(lots.AmountNotPositive):
            drafts.show(draft)


def test_a_frozen_wallet_is_deducted_from_although_nothing_of_it_can_be_held(
    organization: Organization,
) -> None:
    drafts.book(give(organization, DOLLAR), shown=drafts.show(give(organization, DOLLAR)))
    Wallet.objects.update(state=WalletState.FROZEN_FRAUD, version=F("version") + 1)
    draft = take(organization, DOLLAR, "adjustment:2")

    drafts.book(draft, shown=drafts.show(draft))

    assert balance(organization) == 0
    assert Wallet.objects.get().state == WalletState.FROZEN_FRAUD


def test_an_adjustment_is_called_by_its_direction() -> None:
    assert transactions.words_of(JournalKind.ADJUSTMENT, 1) == "Credit from our support"
    assert transactions.words_of(JournalKind.ADJUSTMENT, -1) == "Taken back by our support"
