"""Bugs that others have had in this place, planted here: for each of them a test of ours must fail.

Those that only a story of many steps shows are in ``test_convergence.py``, those of admission in
``tests/billing/test_known_bugs.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import stripe
from django.db.models import QuerySet
from django.test import Client

from accounts.models import Organization
from billing import auto_topups, events, lots, sync, wallets
from billing.models import AccountCode, JournalKind, LotKind, PaymentMethod, TopUp, Wallet
from billing.stripe_api import cards as stripe_cards
from billing.stripe_api.client import StripeFault
from billing.stripe_api.events import EventSeen
from billing.stripe_api.payments import Payment
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import cents_to_nanos
from tests.billing.cast import make_organization
from tests.billing.stripe import test_at_once, test_auto_topups, test_crashes, test_sync, test_webhooks
from tests.billing.stripe.shop import Shop

Patch = pytest.MonkeyPatch


def makes_a_payment_at_every_try(patch: Patch) -> None:
    """As in akash console #3449: each retry is another payment intent, and the card is charged two or three times."""
    honest = stripe.PaymentIntentService.create

    def create(self: Any, params: Any, options: Any = None) -> stripe.PaymentIntent:
        return honest(self, params, {"idempotency_key": new_id("try")})

    patch.setattr(stripe.PaymentIntentService, "create", create)


def orders_after_it_was_paid(patch: Patch) -> None:
    """As in new-api: what is bought is noted once Stripe has answered; who dies before has paid for nothing."""

    def ask(top_up: TopUp) -> None:
        assert top_up.card is not None
        TopUp.objects.filter(pk=top_up.pk).delete()
        customer, card = top_up.card.customer.stripe_id, top_up.card.stripe_id
        intent_id = stripe_cards.charge(
            customer_id=customer, card_id=card, cents=top_up.amount_cents, top_up_id=top_up.pk
        )
        top_up.save(force_insert=True)
        sync.sync(intent_id)

    patch.setattr(auto_topups, "_ask", ask)


def credits_the_page_and_the_payment(patch: Patch) -> None:
    """As in roomGPT #61: the end of Stripe's page is credited, and the payment behind it once more."""
    honest = events._act

    def act(event: EventSeen) -> None:
        honest(event)
        top_up = TopUp.objects.filter(stripe_session=event.session_id).first() if event.session_id else None
        if top_up is not None:
            _credit(top_up, key=f"session:{event.session_id}")

    patch.setattr(events, "_act", act)


def _credit(top_up: TopUp, *, key: str) -> None:
    credit = lots.Credit(
        organization=top_up.organization,
        kind=LotKind.PAID,
        journal_kind=JournalKind.TOP_UP,
        amount_nano=cents_to_nanos(top_up.amount_cents),
        paid_by=AccountCode.STRIPE_CLEARING,
        reason="Mutant",
        actor="test",
    )
    lots.add(credit, key=key)


def says_that_all_is_well(patch: Patch) -> None:
    """As in new-api: an event whose credit failed is answered 200, and never comes again."""
    honest = events.take

    def take(event: EventSeen) -> bool:
        with suppress(StripeFault):
            return honest(event)
        return True

    patch.setattr(events, "take", take)


def never_compares_the_amount(patch: Patch) -> None:
    """As in new-api: what was ordered is credited, whatever was paid."""
    honest = sync._credit

    def credit(wallet: Wallet, top_up: TopUp, seen: Payment) -> None:
        honest(wallet, top_up, replace(seen, currency=top_up.currency, received_cents=top_up.amount_cents))

    patch.setattr(sync, "_credit", credit)


def credits_what_is_complete_but_unpaid(patch: Patch) -> None:
    """As in new-api: a page that was filled in is credited before the bank has paid."""
    honest = sync._apply

    def apply(wallet: Wallet, top_up: TopUp, seen: Payment) -> None:
        is_complete = seen.status == "processing"
        paid = replace(seen, status="succeeded", received_cents=top_up.amount_cents)
        honest(wallet, top_up, paid if is_complete else seen)

    patch.setattr(sync, "_apply", apply)


def locks_nothing(patch: Patch) -> None:
    """As in open-saas #727 and others: what is left is read, and spent by everybody who has read it."""
    patch.setattr(QuerySet, "select_for_update", lambda rows, **_: rows)
    patch.setattr(wallets, "lock", wallets.of)


def seen_by(test: Callable[..., None], plant: Callable[[Patch], None], match: str, **given: Any) -> None:
    """Demand that a test of ours, which holds as things are, fails with a bug planted."""
    with Patch.context() as patch:
        plant(patch)
        with pytest.raises(AssertionError, match=match):
            test(**given)


@pytest.mark.django_db
def test_a_payment_at_every_try_would_be_seen(shop: Shop, ada: Organization, card: PaymentMethod) -> None:
    test = test_auto_topups.test_a_lost_answer_is_asked_for_again_and_is_the_same_payment
    seen_by(test, makes_a_payment_at_every_try, r"\(2, ", shop=shop, ada=ada, card=card)


@pytest.mark.django_db
def test_an_order_that_comes_after_its_payment_would_be_seen(shop: Shop) -> None:
    given: dict[str, Any] = {"scene": test_crashes.fills_itself, "ends_at": "after POST payment_intents"}
    test_crashes.play(shop, **given)
    seen_by(test_crashes.play, orders_after_it_was_paid, "topup:pi_", shop=shop, **given)


@pytest.mark.django_db
def test_a_credit_for_the_page_and_one_for_the_payment_would_be_seen(shop: Shop, ada: Organization) -> None:
    test = test_webhooks.test_two_kinds_of_event_about_one_payment_credit_once
    seen_by(test, credits_the_page_and_the_payment, "2 == 1", client=Client(), shop=shop, ada=ada)


@pytest.mark.django_db
def test_a_failure_that_is_answered_with_200_would_be_seen(shop: Shop, ada: Organization) -> None:
    test = test_webhooks.test_an_event_that_failed_is_not_taken_for_done
    seen_by(test, says_that_all_is_well, "200", client=Client(), shop=shop, ada=ada)


@pytest.mark.django_db
@pytest.mark.parametrize(("cents", "currency"), [(999, "usd"), (1_000, "eur")])
def test_an_amount_that_nobody_compares_would_be_seen(
    shop: Shop, ada: Organization, cents: int, currency: str
) -> None:
    test = test_sync.test_a_payment_of_anything_else_than_was_ordered_is_not_credited
    given: dict[str, Any] = {"shop": shop, "ada": ada, "cents": cents, "currency": currency}
    seen_by(test, never_compares_the_amount, "succeeded", **given)


@pytest.mark.django_db
def test_a_credit_before_the_money_would_be_seen(shop: Shop, ada: Organization) -> None:
    test = test_sync.test_a_payment_by_bank_is_credited_once_it_has_arrived
    seen_by(test, credits_what_is_complete_but_unpaid, "SUCCEEDED", shop=shop, ada=ada)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_everybody_reads_first")
def test_credit_that_is_read_and_then_spent_would_be_seen(shop: Shop) -> None:
    bob = make_organization("bob@example.com")
    test = test_at_once.test_of_four_who_want_all_of_it_back_one_gets_it
    seen_by(test, locks_nothing, "True, True", shop=shop, bob=bob)


_everybody_reads_first = test_at_once._everybody_reads_first
