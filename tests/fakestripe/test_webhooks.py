"""Events on their way: signed, ordered, retried; and every way in which the post may fail."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.fakestripe.buying import charge_now, kinds_of
from tests.fakestripe.receiver import Receiver
from tests.fakestripe.running import RunningStripe

PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


@pytest.fixture(scope="module")
def _receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def _wired(_receiver: Receiver) -> Iterator[RunningStripe]:
    running = RunningStripe(webhook_url=_receiver.url)
    yield running
    running.stop()


@pytest.fixture
def receiver(_receiver: Receiver, _wired: RunningStripe) -> Receiver:
    """Return a receiver that got nothing yet."""
    _wired.deliveries()
    _wired.reset()
    _receiver.clear()
    return _receiver


@pytest.fixture
def wired(_wired: RunningStripe, receiver: Receiver) -> Iterator[RunningStripe]:
    """Return a fake whose events go to the receiver; what was delivered keeps to Stripe's document."""
    yield _wired
    _wired.deliveries()
    for body in receiver.bodies:
        _wired.referee.judge_event(json.loads(body))
    assert _wired.referee.faults == []


def test_events_come_signed_and_in_order(wired: RunningStripe, receiver: Receiver) -> None:
    charge_now(wired.client())
    sent = wired.deliveries()

    assert receiver.kinds() == PAID
    assert [each["outcome"] for each in sent] == ["sent"] * 3
    assert {event.api_version for event in receiver.events} == {"2026-10-28.endive"}
    assert {event.pending_webhooks for event in wired.client().v1.events.list().data} == {0}


def test_a_refused_event_is_sent_again(wired: RunningStripe, receiver: Receiver) -> None:
    wired.order("webhooks", {"retry_s": 0.01})
    receiver.answers = [500, 503]

    wired.client().v1.customers.create()
    sent = wired.deliveries()

    assert receiver.kinds() == ["customer.created"] * 3
    assert len({event.id for event in receiver.events}) == 1
    assert sent[0]["statuses"] == [500, 503, 200]


def test_an_event_that_nobody_takes_is_listed_as_undelivered(
    wired: RunningStripe, receiver: Receiver
) -> None:
    wired.order("webhooks", {"retry_s": 0.01, "attempts": 2})
    receiver.answers = [500, 500]
    lost = wired.client().v1.customers.create()
    wired.deliveries()
    taken = wired.client().v1.customers.create()
    sent = wired.deliveries()

    undelivered = wired.client().v1.events.list({"delivery_success": False}).data
    delivered = wired.client().v1.events.list({"delivery_success": True}).data

    assert [each["outcome"] for each in sent] == ["failed", "sent"]
    assert [event.data.object["id"] for event in undelivered] == [lost.id]
    assert [event.data.object["id"] for event in delivered] == [taken.id]


def test_the_post_can_lose_and_double(wired: RunningStripe, receiver: Receiver) -> None:
    wired.order("webhooks", {"drop": 0.5, "double": 0.5, "seed": 7})

    for _ in range(20):
        wired.client().v1.customers.create()
    sent = Counter(each["outcome"] for each in wired.deliveries())
    copies = Counter(event.id for event in receiver.events)

    assert 4 <= sent["dropped"] <= 16
    assert set(copies.values()) == {1, 2}
    assert len(copies) + sent["dropped"] == 20


def test_the_same_seed_loses_the_same(wired: RunningStripe, receiver: Receiver) -> None:
    outcomes = []
    for _ in range(2):
        wired.order("webhooks", {"drop": 0.5, "seed": 3})
        for _ in range(10):
            wired.client().v1.customers.create()
        outcomes.append([each["outcome"] for each in wired.deliveries()[-10:]])

    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == {"sent", "dropped"}


def test_the_post_can_shuffle_and_be_late(wired: RunningStripe, receiver: Receiver) -> None:
    wired.order("webhooks", {"delay_ms": 50, "shuffle_ms": 300, "seed": 1})

    for _ in range(4):
        charge_now(wired.client())
    wired.deliveries()
    made = kinds_of(wired.client())

    assert receiver.kinds() != made
    assert sorted(receiver.kinds()) == sorted(made)


def test_the_post_can_be_held_back(wired: RunningStripe, receiver: Receiver) -> None:
    wired.order("webhooks", {"is_held": True})
    wired.client().v1.customers.create()
    assert wired.order("settle", {"within_s": 0.2}) == {"settled": False}
    assert receiver.events == []

    wired.order("webhooks", {})
    wired.deliveries()

    assert receiver.kinds() == ["customer.created"]


def test_an_endpoint_gets_what_it_wants_in_its_own_version(wired: RunningStripe, receiver: Receiver) -> None:
    client = wired.client()
    made = client.v1.webhook_endpoints.create(
        {"url": receiver.url, "enabled_events": ["customer.deleted"], "api_version": "2024-06-20"}
    )
    ada = client.v1.customers.create()
    client.v1.customers.delete(ada.id)
    sent = wired.deliveries()

    assert made.secret is not None
    assert "secret" not in client.v1.webhook_endpoints.retrieve(made.id).to_dict()
    # Its signature is not the receiver's, who refuses it.
    assert [(each["endpoint"], each["type"]) for each in sent if each["outcome"] != "sent"] == [
        (made.id, "customer.deleted")
    ]
