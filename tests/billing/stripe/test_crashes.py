"""A worker may die between any two steps: what it began is finished by others, once.

``./dev test tests/billing/stripe/test_crashes.py --full`` dies at every point; a plain run at some of them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Organization
from billing import auto_topups, checkout, events, refunds, sync
from billing.models import Journal, JournalKind, TopUp
from billing.stripe_api import events as stripe_events
from billing.stripe_api.events import EventSeen
from fastanchor.lib.ids import new_id
from tests.billing.cast import make_organization
from tests.billing.stripe.automatic import ASKING, switch_on
from tests.billing.stripe.books import assert_books_agree, balance_cents, reconcile
from tests.billing.stripe.crashes import Died, life
from tests.billing.stripe.shop import Shop
from tests.fakestripe.running import KEY
from tests.live.programs import Program, wait_until

Act = Callable[[], object]
Scene = Callable[[Shop, Organization], tuple[Act, set[int]]]
SOME = 3


def recover() -> None:
    """Do what the tasks do in the next minutes."""
    later = timezone.now() + timedelta(minutes=2)
    auto_topups.resume(now=later)
    events.poll()
    checkout.follow_pending(older_than=timedelta(0))
    sync.resend_refunds()


def fills_itself(shop: Shop, ada: Organization) -> tuple[Act, set[int]]:
    """The balance is below the threshold; the next sweep would try again."""
    shop.save_card(ada)
    switch_on(ada)
    return lambda: auto_topups.consider(ada), {5_000}


def is_paid(shop: Shop, ada: Organization) -> tuple[Act, set[int]]:
    """Its payer comes back from Stripe's page."""
    top_up = shop.pay(ada, 1_000)
    return lambda: checkout.follow(top_up), {1_000}


def is_paid_back(shop: Shop, ada: Organization) -> tuple[Act, set[int]]:
    """A part of it is wanted back; one who died before that was noted has asked for nothing."""
    top_up = checkout.follow(shop.pay(ada, 1_000))
    return lambda: sync.send_refund(refunds.request(top_up=top_up, cents=300, actor="user:1")), {700, 1_000}


def is_told_of(shop: Shop, ada: Organization) -> tuple[Act, set[int]]:
    """A webhook brings a dispute and with it the fee."""
    top_up = checkout.follow(shop.pay(ada, 1_000))
    shop.dispute(top_up.stripe_intent or "")
    told = _newest("charge.dispute.created")
    return lambda: events.take(told), {0}


def _newest(kind: str) -> EventSeen:
    return next(each for each in stripe_events.since(0) if each.kind == kind)


SCENES: tuple[Scene, ...] = (fills_itself, is_paid, is_paid_back, is_told_of)


def play(shop: Shop, scene: Scene, ends_at: int | str) -> None:
    """Die at a point of a scene, let the others finish it, and look at what has become of it."""
    ada = make_organization(f"{new_id('user')}@example.com")
    act, balances = scene(shop, ada)
    with suppress(Died), life(ends_at):
        act()
    recover()
    if scene is fills_itself:
        act()

    stripes = [each for each in shop.intents() if each.status == "succeeded"]
    credited = Journal.objects.filter(kind=JournalKind.TOP_UP)
    assert sorted(f"topup:{each.id}" for each in stripes) == sorted(
        credited.values_list("idempotency_key", flat=True)
    )
    assert credited.filter(organization=ada).count() == 1
    assert balance_cents(ada) in balances
    assert_books_agree(shop)


def points(shop: Shop, scene: Scene) -> list[str]:
    """Return the points at which it may die, by living through it once."""
    act, _ = scene(shop, make_organization(f"{new_id('user')}@example.com"))
    with life() as lived:
        act()
    return lived.points


@pytest.mark.django_db
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_whoever_dies_in_between_leaves_nothing_undone_and_nothing_done_twice(
    shop: Shop, scene: Scene, *, is_full: bool
) -> None:
    there_are = points(shop, scene)
    recover()
    some = range(len(there_are)) if is_full else random.Random(3).sample(range(len(there_are)), SOME)

    for point in some:
        play(shop, scene, point)

    assert len(there_are) > SOME
    assert any(each.startswith("after") for each in there_are)
    assert reconcile()[0] == 0


SWEEP = """
import django
django.setup()
from billing import tasks
tasks.top_up_automatically()
"""


def killed_while_stripe_is_silent(shop: Shop, log: Path) -> None:
    """Start a worker's task in a process of its own, and kill it once Stripe has made the payment."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    database = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    environment = {"DATABASE_URL": database, "STRIPE_API_BASE": shop.fake.base_url, "STRIPE_SECRET_KEY": KEY}
    worker = Program(["-c", SWEEP], log=log, environment=environment)
    try:
        wait_until(lambda: len(shop.intents()) == 1, what="Stripe has made the payment", within_s=60)
    finally:
        worker.kill()


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(180)
def test_a_worker_killed_between_payment_and_commit_charges_once_and_credits_once(
    shop: Shop, tmp_path: Path
) -> None:
    ada = make_organization("ada@example.com")
    shop.save_card(ada)
    switch_on(ada)
    shop.fake.order("faults", {"faults": [{"hang_s": 60, "when": "after", "count": 1, **ASKING}]})

    killed_while_stripe_is_silent(shop, tmp_path / "worker.log")
    unheard = TopUp.objects.get()
    again = auto_topups.consider(ada)
    recover()

    assert (unheard.status, unheard.stripe_intent, again) == ("created", None, False)
    assert ([each.amount for each in shop.intents()], balance_cents(ada)) == ([5_000], 5_000)
    assert Journal.objects.filter(kind=JournalKind.TOP_UP).count() == 1
    assert_books_agree(shop)
