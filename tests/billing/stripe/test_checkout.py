"""Opening Stripe's page may be tried again, and leads to the same page."""

from __future__ import annotations

import time

from accounts.models import Organization
from billing import checkout
from billing.models import TopUp
from tests.billing.stripe.shop import CANCEL, SUCCESS, Shop


def test_a_page_that_is_opened_again_later_is_the_same_page(shop: Shop, ada: Organization) -> None:
    top_up, url = shop.open(ada)
    time.sleep(1.1)

    again = checkout.open_page(top_up, success_url=SUCCESS, cancel_url=CANCEL)

    assert again == url
    assert TopUp.objects.count() == 1
