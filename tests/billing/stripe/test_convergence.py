"""Whatever is heard of Stripe, in whatever order, the books end right; and the bugs of others would be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Organization
from billing import disputes, events, ledger, lots, refunds, sync, wallets
from billing.models import AccountCode, Journal, JournalKind, StripeEvent, TopUp, Wallet
from billing.stripe_api import events as stripe_events
from billing.stripe_api.client import StripeUnavailable
from billing.stripe_api.events import EventSeen
from billing.stripe_api.payments import DisputeSeen
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import Nanos, cents_to_nanos
from tests.billing.cast import make_organization
from tests.billing.stripe.convergence import run
from tests.billing.stripe.shop import Shop

Patch = pytest.MonkeyPatch

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]


@pytest.mark.parametrize("seed", range(4))
def test_the_books_end_right(shop: Shop, seed: int) -> None:
    run(shop, seed=seed)


def credits_at_every_delivery(patch: Patch) -> None:
    """As in llmgateway #1713: nothing remembers that a payment was credited."""
    once = lots.add_to

    def add_to(wallet: Wallet, credit: lots.Credit, *, key: str) -> Journal:
        return once(wallet, credit, key=new_id(key))

    def credit(wallet: Wallet, top_up: TopUp, seen: Any) -> None:
        top_up.journal = None
        honest(wallet, top_up, seen)

    honest = sync._credit
    patch.setattr(lots, "add_to", add_to)
    patch.setattr(sync, "_credit", credit)


def keeps_one_refund_a_charge(patch: Patch) -> None:
    """As in latere-ai/pay: a second partial refund is ignored."""
    patch.setattr(refunds, "_key", lambda refund: f"refund:{refund.top_up_id}")


def takes_inquiries_for_chargebacks(patch: Patch) -> None:
    """As in latere-ai/pay: what moves no money is debited."""
    honest = disputes.apply

    def apply(wallet: Wallet, top_up: TopUp, seen: DisputeSeen) -> None:
        honest(wallet, top_up, seen)
        key = f"mutant:{seen.id}"
        if not seen.movements and not Journal.objects.filter(idempotency_key=key).exists():
            _debit(wallet, top_up, cents_to_nanos(seen.amount_cents), key)

    patch.setattr(disputes, "apply", apply)


def counts_in_float_dollars(patch: Patch) -> None:
    """As in many: 11.15 dollars are not exactly that."""
    for module in (sync, refunds, disputes):
        patch.setattr(module, "cents_to_nanos", lambda cents: Nanos(int(cents / 100 * 1e9)))


def forgets_refunds_that_fail(patch: Patch) -> None:
    """Only what happens to a payment at first is looked at."""
    patch.setattr(refunds, "give_back", lambda wallet, refund: None)


def trusts_that_disputes_are_lost(patch: Patch) -> None:
    """What comes back with a dispute that was won is not credited."""
    honest = disputes._move

    def move(wallet: Wallet, top_up: TopUp, seen: DisputeSeen, movement: Any) -> None:
        if movement.amount_cents < 0:
            honest(wallet, top_up, seen, movement)

    patch.setattr(disputes, "_move", move)


def _debit(wallet: Wallet, top_up: TopUp, amount: int, key: str) -> None:
    organization: Organization = top_up.organization
    assert top_up.journal is not None
    taken = lots.take_back(wallet, top_up.journal.lot, amount)
    ledger.post(
        key=key,
        kind=JournalKind.DISPUTE,
        legs={
            AccountCode.WALLET_PROMO: taken.promo_nano,
            AccountCode.WALLET_PAID: taken.paid_nano,
            AccountCode.DISPUTE_LOSS: -amount,
        },
        organization=organization,
        reason="Mutant",
        actor="test",
    )
    wallets.change(wallet, balance_by=-amount)


MUTANTS: tuple[Callable[[Patch], None], ...] = (
    credits_at_every_delivery,
    keeps_one_refund_a_charge,
    takes_inquiries_for_chargebacks,
    counts_in_float_dollars,
    forgets_refunds_that_fail,
    trusts_that_disputes_are_lost,
)


def test_an_event_that_is_remembered_before_it_is_done_would_be_seen(shop: Shop, monkeypatch: Patch) -> None:
    """As in LibreChat #13812: the retry of an event that failed is skipped, and its money never arrives."""
    honest = events._act

    def act(event: EventSeen) -> None:
        StripeEvent.objects.filter(pk=event.id).update(processed_at=timezone.now())
        honest(event)

    def told_on_a_bad_day_and_again() -> int:
        customer = make_organization(f"{new_id('user')}@example.org")
        shop.pay(customer, 1_000)
        (event,) = (each for each in stripe_events.since(0) if each.kind == "payment_intent.succeeded")
        shop.fake.order("faults", {"faults": [{"status": 500, "path": "/v1/payment_intents"}]})
        with pytest.raises(StripeUnavailable):
            events.take(event)
        shop.fake.order("faults", {"faults": []})
        events.take(event)
        shop.fake.reset()
        return wallets.of(customer).balance_nano

    honestly = told_on_a_bad_day_and_again()
    monkeypatch.setattr(events, "_act", act)

    assert (honestly, told_on_a_bad_day_and_again()) == (cents_to_nanos(1_000), 0)


@pytest.mark.parametrize("plant", MUTANTS, ids=lambda plant: plant.__name__)
def test_the_bugs_of_others_would_be_seen(
    shop: Shop, monkeypatch: Patch, plant: Callable[[Patch], None]
) -> None:
    plant(monkeypatch)

    with pytest.raises((AssertionError, ledger.KeyReused)):  # noqa: PT012 - any of the stories may show it
        for seed in range(4):
            run(shop, seed=seed)
