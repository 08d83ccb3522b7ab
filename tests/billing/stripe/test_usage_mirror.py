"""Usage in our books and in Stripe's meter: told once, compared, and what differs is named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Organization
from billing import usage_mirror
from billing.models import MeterPush, ReconciliationItem
from billing.settlement import settle_batch
from billing.stripe_api import meters
from tests.billing.cast import make_organization, usage
from tests.billing.stripe.conftest import Buy
from tests.billing.stripe.shop import Shop


def yesterday() -> date:
    """Return the day that a nightly run looks at first."""
    return timezone.now().date() - timedelta(days=1)


def spend(organization: Organization, nano: int, day: date) -> None:
    """Use credit at noon of a day."""
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
    times = {"started_at_ms": noon, "finished_at_ms": noon + 10}
    settle_batch([usage(organization, cost_nano=nano, cost_picos=nano * 1000, hold_nano=nano, **times)])


def counted(organization: Organization, day: date) -> int:
    """Return what Stripe has counted, in micro-USD."""
    customer = organization.stripe_customers.get(deleted_at=None).stripe_id
    return meters.counted_micro(meter_id=meters.meter(), customer_id=customer, day=day)


def open_items() -> list[tuple[str, str]]:
    """Return kind and subject of what is open."""
    return list(ReconciliationItem.objects.filter(state="open").values_list("kind", "subject"))


def test_a_day_is_told_once_however_often_it_is_reconciled(buy: Buy, ada: Organization, shop: Shop) -> None:
    buy(1_000)
    spend(ada, 1_234_567_999, yesterday())

    for _ in range(3):
        usage_mirror.reconcile_usage()
    shop.fake.order("clock", {"advance_s": 25 * 3600})
    usage_mirror.reconcile_usage()

    assert counted(ada, yesterday()) == 1_234_567
    assert MeterPush.objects.count() == 1
    assert open_items() == []


def test_what_comes_in_late_is_told_as_one_more(buy: Buy, ada: Organization) -> None:
    buy(1_000)
    spend(ada, 1_500, yesterday())
    usage_mirror.reconcile_usage()

    spend(ada, 1_600, yesterday())
    usage_mirror.reconcile_usage()

    assert list(MeterPush.objects.order_by("revision").values_list("value_micro", flat=True)) == [1, 2]
    assert counted(ada, yesterday()) == 3


def test_whoever_is_no_customer_of_stripe_is_not_told_of(shop: Shop, db: None) -> None:
    spend(make_organization("free@example.com"), 5_000_000, yesterday())

    usage_mirror.reconcile_usage()

    assert not MeterPush.objects.exists()


def test_an_answer_that_was_lost_is_not_told_twice(buy: Buy, ada: Organization, shop: Shop) -> None:
    buy(1_000)
    spend(ada, 7_000_000, yesterday())
    meters.meter()
    lost: dict[str, Any] = {"status": 503, "when": "after", "path": "/v1/billing/meter_events"}
    shop.fake.order("faults", {"faults": [lost]})

    usage_mirror.reconcile_usage()

    assert counted(ada, yesterday()) == 7_000
    assert MeterPush.objects.exclude(sent_at=None).count() == 1
    assert open_items() == []


def test_a_day_later_stripe_is_asked_what_it_has_counted(buy: Buy, ada: Organization, shop: Shop) -> None:
    buy(1_000)
    spend(ada, 7_000_000, yesterday())
    usage_mirror.reconcile_usage()
    # As if the process had died before it heard the answer; Stripe has forgotten the identifier meanwhile.
    MeterPush.objects.update(sent_at=None, created_at=timezone.now() - timedelta(hours=30))
    shop.fake.order("clock", {"advance_s": 30 * 3600})

    usage_mirror.reconcile_usage()

    assert counted(ada, yesterday()) == 7_000
    assert MeterPush.objects.exclude(sent_at=None).count() == 1


def test_what_stripe_counts_otherwise_is_named_until_it_agrees(
    buy: Buy, ada: Organization, shop: Shop
) -> None:
    buy(1_000)
    spend(ada, 7_000_000, yesterday())
    usage_mirror.reconcile_usage()
    customer = ada.stripe_customers.get().stripe_id
    meters.tell(identifier="somebody else", customer_id=customer, value_micro=5, day=yesterday())

    usage_mirror.reconcile_usage()

    assert open_items() == [("meter_differs", f"{ada.pk} {yesterday()}")]


@pytest.mark.parametrize(
    ("micro", "told", "named"), [(10**15 - 1, 10**15 - 1, []), (10**15, 0, ["meter_value"])]
)
def test_fifteen_digits_are_counted_exactly_and_sixteen_are_never_sent(
    buy: Buy, ada: Organization, monkeypatch: pytest.MonkeyPatch, micro: int, told: int, named: list[str]
) -> None:
    buy(1_000)
    used = {yesterday(): {ada.pk: micro}}
    monkeypatch.setattr(usage_mirror, "_used_micro", lambda day: used.get(day, {}))

    for _ in range(2):
        usage_mirror.reconcile_usage()

    assert counted(ada, yesterday()) == told
    assert [kind for kind, _ in open_items()] == named


def test_a_wallet_that_drifts_by_a_nano_is_named(buy: Buy, ada: Organization) -> None:
    buy(1_000)
    wallet = ada.wallet
    type(wallet).objects.filter(pk=wallet.pk).update(
        balance_nano=wallet.balance_nano + 1, version=wallet.version + 1
    )

    usage_mirror.reconcile_usage()

    assert {kind for kind, _ in open_items()} == {"books"}
    assert any(subject.endswith(ada.pk) for _, subject in open_items())
