"""A lost dispute over credit that was used: we give the debt up, and its owner can go on."""

from __future__ import annotations

import pytest
import redis
from django.utils import timezone

from accounts.models import Organization
from billing import disputes, drafts, holds, ledger, opening, statements, transactions, write_offs
from billing.models import AccountCode, Dispute, Journal, JournalKind, Posting, Wallet, WalletState
from billing.months import Month
from billing.sync import sync
from fastanchor.lib.money import cents_to_nanos
from tests.billing.stripe.books import assert_books_agree, balance_cents, spend
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop

WHY, WHO = "Its owner has left the country", "user:7"


def losses_cents() -> int:
    amounts = Posting.objects.filter(account__code=AccountCode.DISPUTE_LOSS).values_list(
        "amount_nano", flat=True
    )
    return sum(amounts) // 10_000_000


def disputed(buy: Buy, shop: Shop, organization: Organization, cents: int, *, used: int) -> Dispute:
    """Return a lost dispute over a payment of which some was used before."""
    intent = buy(cents).stripe_intent or ""
    spend(organization, used)
    name = shop.dispute(intent)
    sync(intent)
    shop.decide(name, "lost")
    sync(intent)
    return Dispute.objects.get(pk=name)


def write_off(dispute: Dispute) -> Journal:
    draft = write_offs.draft(dispute=dispute, reason=WHY, actor=WHO)
    return drafts.book(draft, shown=drafts.show(draft))


def test_a_debt_that_is_given_up_is_our_loss_and_its_owner_can_go_on(
    buy: Buy, shop: Shop, ada: Organization
) -> None:
    dispute = disputed(buy, shop, ada, 1_000, used=600)
    before = (balance_cents(ada), Wallet.objects.get().state)

    journal = write_off(dispute)

    dispute.refresh_from_db()
    assert before == (-600, WalletState.FROZEN_DISPUTE)
    assert (balance_cents(ada), Wallet.objects.get().state) == (0, WalletState.ACTIVE)
    assert ledger.legs_of(journal) == {
        AccountCode.DISPUTE_LOSS: cents_to_nanos(600),
        AccountCode.WALLET_PAID: -cents_to_nanos(600),
    }
    assert (journal.kind, journal.reason, journal.actor) == (JournalKind.WRITE_OFF, WHY, WHO)
    assert dispute.write_off == journal
    assert_books_agree(shop)


def test_afterwards_new_credit_is_whole_and_a_little_debt_freezes_nobody(
    buy: Buy, shop: Shop, ada: Organization, valkey: redis.Redis
) -> None:
    dispute = disputed(buy, shop, ada, 1_000, used=600)
    opening.open_organization(ada.pk)
    frozen = holds.known_wallet(valkey, ada.pk)
    write_off(dispute)

    again = buy(500)
    credited = balance_cents(ada)
    assert frozen == holds.KnownWallet(-cents_to_nanos(600), 0, 0)
    assert holds.known_wallet(valkey, ada.pk) == holds.KnownWallet(cents_to_nanos(500), 0, 0)
    spend(ada, 501)
    sync(again.stripe_intent or "")

    assert (credited, balance_cents(ada)) == (500, -1)
    assert Wallet.objects.get().state == WalletState.ACTIVE
    assert_books_agree(shop)


def test_a_debt_is_given_up_once(buy: Buy, shop: Shop, ada: Organization) -> None:
    dispute = disputed(buy, shop, ada, 1_000, used=600)

    first, second = write_off(dispute), write_off(dispute)

    assert (first, losses_cents(), balance_cents(ada)) == (second, 600, 0)


def test_each_lost_dispute_is_given_up_for_itself(buy: Buy, shop: Shop, ada: Organization) -> None:
    first = disputed(buy, shop, ada, 1_000, used=1_000)
    second = disputed(buy, shop, ada, 2_000, used=1_000)

    write_off(first)
    between = (balance_cents(ada), Wallet.objects.get().state)
    write_off(second)

    assert between == (-1_000, WalletState.FROZEN_DISPUTE)
    assert (balance_cents(ada), Wallet.objects.get().state) == (0, WalletState.ACTIVE)
    assert_books_agree(shop)


def test_what_may_still_be_won_is_not_given_up(buy: Buy, shop: Shop, ada: Organization) -> None:
    intent = buy(1_000).stripe_intent or ""
    spend(ada, 600)
    name = shop.dispute(intent)
    sync(intent)

    with pytest.raises(write_offs.NotLost):
        write_off(Dispute.objects.get(pk=name))

    assert balance_cents(ada) == -600


def test_who_owes_nothing_is_given_nothing(buy: Buy, shop: Shop, ada: Organization) -> None:
    dispute = disputed(buy, shop, ada, 1_000, used=0)

    with pytest.raises(write_offs.NothingOwed):
        write_off(dispute)

    assert (balance_cents(ada), losses_cents()) == (0, 0)


def test_a_payment_that_the_bank_gives_back_after_all_makes_good_our_loss_first(
    buy: Buy, shop: Shop, ada: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of the ten dollars were left when the bank took them: these its owner gets again, the six are ours."""
    dispute = disputed(buy, shop, ada, 1_000, used=600)
    write_off(dispute)
    # Stripe's rules end with a loss; banks have made exceptions.
    monkeypatch.setattr("fastanchor.local.fakestripe.disputes.ENDED", {"won"})
    shop.decide(dispute.pk, "won")

    for _ in range(2):
        sync(dispute.top_up.stripe_intent or "")

    assert (balance_cents(ada), losses_cents()) == (400, 0)
    assert Wallet.objects.get().state == WalletState.ACTIVE
    assert Dispute.objects.get().status != disputes.LOST
    assert_books_agree(shop)


def test_its_owner_reads_of_it_and_the_statement_adds_up(buy: Buy, shop: Shop, ada: Organization) -> None:
    write_off(disputed(buy, shop, ada, 1_000, used=600))
    month = Month.of(timezone.now())

    statement = statements.make(organization=ada, month=month)
    lines = transactions.lines(organization=ada, start=month.start, end=month.end)

    assert ("Debt written off", cents_to_nanos(600)) in statement.movements
    assert statement.closing_nano == 0
    assert lines[0].words == "Debt written off"
