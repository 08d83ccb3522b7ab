"""A payment that a bank has taken back: what the wallet, the gateway and the automatic top-up do until all is well again."""

from __future__ import annotations

import asyncio

import pytest
from django.conf import settings
from django.core import mail

from accounts.models import Organization
from billing import auto_topups, holds, ledger, low_balance, off_notices, opening, topups, wallets
from billing.models import PaymentMethod, WalletState
from billing.refusals import InsufficientCredit
from billing.sync import sync
from fastanchor.lib.money import cents_to_nanos
from fastanchor.lib.valkey import TurnPipeline, sync_client
from tests.billing.stripe.automatic import setting_of, switch_on
from tests.billing.stripe.books import assert_books_agree, balance_cents, spend
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop
from tests.billing.test_holds import ask


def is_admitted(organization: Organization) -> bool:
    """Ask as the gateway does, in its own words, whether a small request may run."""

    async def place() -> bool:
        pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=2.0)
        try:
            book = holds.Holds(pipeline, _opened)
            await book.place(ask(organization_id=organization.pk))
        except InsufficientCredit:
            return False
        finally:
            await pipeline.close()
        return True

    return asyncio.run(place())


async def _opened(_: str) -> str:
    return holds.ensure_epoch(sync_client()).name


def lose(shop: Shop, intent_id: str) -> None:
    """Let a dispute be opened and lost, and hear of both."""
    dispute = shop.dispute(intent_id)
    sync(intent_id)
    shop.decide(dispute, "lost")
    sync(intent_id)


def test_after_a_chargeback_of_spent_credit_the_gateway_refuses_until_it_is_won(
    buy: Buy, shop: Shop, ada: Organization
) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    opening.open_organization(ada.pk)
    before = is_admitted(ada)
    spend(ada, 250)

    dispute = shop.dispute(intent_id)
    sync(intent_id)
    disputed = is_admitted(ada)
    shop.decide(dispute, "won")
    sync(intent_id)

    assert (before, disputed, is_admitted(ada)) == (True, False, True)
    assert balance_cents(ada) == 750


def test_a_lost_dispute_switches_the_automatic_top_up_off_once_and_its_owner_may_switch_it_on(
    buy: Buy, shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    lose(shop, intent_id)
    lost = setting_of(ada)
    off_notices.send_due()

    switch_on(ada)
    sync(intent_id)

    assert (lost.is_on, lost.last_error) == (False, "A bank has taken back a payment of yours for good.")
    assert ["taken back a payment" in each.body for each in mail.outbox] == [True]
    assert setting_of(ada).is_on
    assert auto_topups.consider(ada)
    assert balance_cents(ada) == 5_000


def test_a_debt_of_a_lost_dispute_is_never_charged_by_itself(
    buy: Buy, shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    spend(ada, 400)
    lose(shop, intent_id)

    switch_on(ada)

    assert (balance_cents(ada), wallets.of(ada).state) == (-400, WalletState.FROZEN_DISPUTE)
    assert not auto_topups.consider(ada)
    assert len(shop.intents()) == 1


@pytest.mark.parametrize("cents", [400, 1_400])
def test_credit_paid_by_transfer_thaws_the_wallet_as_credit_paid_at_stripe_does(
    buy: Buy, shop: Shop, ada: Organization, cents: int
) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    spend(ada, 400)
    lose(shop, intent_id)

    topups.record_top_up(organization=ada, cents=cents - 1, key="part", actor="test")
    part = wallets.of(ada)
    topups.record_top_up(organization=ada, cents=1, key="rest", actor="test")

    thawed = WalletState.ACTIVE if cents > 400 else WalletState.FROZEN_DISPUTE
    assert part.state == thawed
    assert (wallets.of(ada).state, balance_cents(ada)) == (WalletState.ACTIVE, cents - 400)
    assert ledger.credit_of(ada) == cents_to_nanos(cents - 400)
    assert_books_agree(shop)


def test_a_frozen_wallet_is_thawed_by_nothing_but_what_covers_the_debt(
    buy: Buy, shop: Shop, ada: Organization
) -> None:
    intent_id = buy(1_000).stripe_intent or ""
    spend(ada, 400)
    lose(shop, intent_id)

    wallets.turn(wallets.of(ada), WalletState.FROZEN_FRAUD)
    topups.record_top_up(organization=ada, cents=2_000, key="paid", actor="test")

    assert wallets.of(ada).state == WalletState.FROZEN_FRAUD


def test_while_a_dispute_pauses_the_automatic_top_up_a_low_balance_is_told(
    buy: Buy, shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    buy(2_000)
    spend(ada, 1_600)
    quiet = low_balance.send_due()
    intent_id = buy(1_000).stripe_intent or ""

    shop.dispute(intent_id)
    sync(intent_id)

    assert (quiet, balance_cents(ada)) == (0, 400)
    assert not auto_topups.consider(ada)
    assert low_balance.send_due() == 1


def test_with_the_months_limit_reached_a_low_balance_is_told(
    shop: Shop, ada: Organization, card: PaymentMethod
) -> None:
    switch_on(ada, cap=5_000)
    auto_topups.consider(ada)
    spend(ada, 4_900)
    before = low_balance.send_due()

    bought = auto_topups.consider(ada)

    assert (before, bought, low_balance.send_due()) == (0, False, 1)
