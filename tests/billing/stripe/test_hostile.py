"""After a bad day one reconciliation makes all right, to the cent, and a second one has nothing to do.

``./dev test tests/billing/stripe/test_hostile.py --full`` plays 200 top-ups; a plain run plays some of them.
"""

from __future__ import annotations

import pytest
from django.db import connections
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from billing.models import Journal, JournalKind, TopUp, TopUpSource, TopUpStatus
from tests.billing.stripe.books import assert_books_agree, reconcile, row_versions
from tests.billing.stripe.hostile import BadDay
from tests.billing.stripe.shop import Shop

SHORT, WHOLE = 20, 200


@pytest.mark.timeout(1_800)
@pytest.mark.django_db(transaction=True)
def test_after_a_bad_day_one_reconciliation_makes_all_right_and_the_next_changes_nothing(
    live_server: LiveServer,
    shop: Shop,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_full: bool,
) -> None:
    # The server's threads must not outlive the test with a connection in their hands.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    shop.listen(f"{live_server.url}/webhooks/stripe/", settings.STRIPE_WEBHOOK_SECRETS)
    day = BadDay(shop, seed=7)
    day.run(WHOLE if is_full else SHORT)
    outcomes = {each["outcome"] for each in shop.fake.deliveries()}

    status, told = reconcile()
    after_one = row_versions()
    second, _ = reconcile()

    assert (status, told["open"], second) == (0, [], 0)
    assert row_versions() == after_one
    paid = {f"topup:{each.id}" for each in shop.intents() if each.status == "succeeded"}
    credited = Journal.objects.filter(kind=JournalKind.TOP_UP).values_list("idempotency_key", flat=True)
    assert sorted(credited) == sorted(paid)
    assert set(day.paid) <= {key.removeprefix("topup:") for key in paid}
    assert TopUp.objects.filter(source=TopUpSource.AUTO, status=TopUpStatus.SUCCEEDED).exists()
    assert {"dropped", "sent"} <= outcomes
    assert_books_agree(shop)
