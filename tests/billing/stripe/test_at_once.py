"""Everybody tells of the same payment at once, or wants the same credit back at once: it moves once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts import organizations, people
from accounts.models import Organization, User
from billing import checkout, events, refunds
from billing.models import Journal, JournalKind, StripeEvent, TopUp
from tests.billing.stripe.books import assert_books_agree, balance_cents
from tests.billing.stripe.shop import Shop
from tests.billing.stripe.test_webhooks import body_of, send, signature

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.fixture
def bob(shop: Shop) -> Organization:
    return organizations.of_user(people.ensure_verified(email="bob@example.com"))


def at_once(acts: list[Callable[[], object]]) -> list[object]:
    """Do all of it in the same moment, each in a thread of its own, and return what became of it."""
    begin = threading.Barrier(len(acts))

    def do(act: Callable[[], object]) -> object:
        try:
            begin.wait(60)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(do, acts))


def test_one_webhook_twenty_times_the_page_and_the_poll_at_once_are_one_journal(
    shop: Shop, bob: Organization
) -> None:
    top_up = shop.pay(bob, 2_500)
    body = body_of(shop)
    browser = Client()
    browser.force_login(User.objects.get(email="bob@example.com"))
    page = reverse("billing:top-up", args=[top_up.pk])
    deliver = [lambda: send(Client(), body, signature(body))] * 20

    outcomes = at_once([*deliver, lambda: browser.get(page).status_code, lambda: events.poll() > 0])

    assert outcomes == [200] * 21 + [True]
    assert Journal.objects.filter(kind=JournalKind.TOP_UP).count() == 1
    assert Journal.objects.count() == 2, "the top-up and Stripe's fee"
    assert StripeEvent.objects.filter(kind="payment_intent.succeeded", processed_at=None).count() == 0
    assert balance_cents(bob) == 2_500
    assert_books_agree(shop)


def wants_all_of_it_back(shop: Shop, bob: Organization) -> list[bool]:
    """Let four ask at once for the whole of a top-up; return who was heard."""
    top_up = checkout.follow(shop.pay(bob, 1_000))

    def ask() -> bool:
        try:
            refunds.request(top_up=top_up, cents=1_000, actor="user:1")
        except refunds.NotRefundable:
            return False
        return True

    return [bool(heard) for heard in at_once([ask] * 4)]


@pytest.fixture
def _everybody_reads_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each who has read what is left wait a little before anything is taken."""
    honest = refunds.refundable_cents

    def slow(top_up: TopUp) -> int:
        left = honest(top_up)
        threading.Event().wait(0.3)
        return left

    monkeypatch.setattr(refunds, "refundable_cents", slow)


@pytest.mark.usefixtures("_everybody_reads_first")
def test_of_four_who_want_all_of_it_back_one_gets_it(shop: Shop, bob: Organization) -> None:
    assert sorted(wants_all_of_it_back(shop, bob)) == [False, False, False, True]
    assert (balance_cents(bob), Journal.objects.filter(kind=JournalKind.REFUND).count()) == (0, 1)
