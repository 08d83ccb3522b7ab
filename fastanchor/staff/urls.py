"""Addresses of staff's pages that are no table of one app; they stand before the admin's own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from fastanchor import channel_pages
from fastanchor.staff import (
    bills,
    customer_deeds,
    customers,
    drift_pages,
    log_in_as,
    money,
    operations_pages,
    price_adding,
    price_pages,
    retirement_pages,
)

_view = admin.site.admin_view

urlpatterns = [
    # In the place of the admin's own index, and under its name.
    path("", _view(operations_pages.index)),
    path("live/", _view(operations_pages.stream), name="operations-live"),
    path("channels/", _view(channel_pages.channels_now), name="channels-now"),
    path("channels/<slug:channel_id>/test/", _view(channel_pages.test), name="channel-test"),
    path("channels/test-all/", _view(channel_pages.test_all), name="test-channels"),
    path("channels/weights/", _view(channel_pages.weigh), name="weigh-channels"),
    path("prices/", _view(price_pages.proposals), name="price-proposals"),
    path("prices/compare/", _view(price_pages.compare_now), name="compare-prices"),
    path("prices/decide/", _view(price_pages.decide), name="decide-prices"),
    path("drift/", _view(drift_pages.report), name="drift-report"),
    path("drift.csv", _view(drift_pages.download), name="drift-download"),
    path("retirement/", _view(retirement_pages.calendar), name="retirement-calendar"),
    path("retirement/<path:model_id>/notice/", _view(retirement_pages.notice), name="retirement-notice"),
    path(
        "retirement/<path:model_id>/stand-in/", _view(retirement_pages.stand_in), name="retirement-stand-in"
    ),
    # Before the admin's own page of this address, which it calls.
    path("catalog/price/add/", _view(price_adding.add_price), name="add-price"),
    path("money/", _view(money.months), name="money"),
    path("money/export.csv", _view(money.export), name="money-export"),
    path("money/months/<slug:month>/", _view(money.month), name="money-month"),
    path("money/days/<slug:day>/", _view(money.day), name="money-day"),
    path("money/bills/", _view(bills.bills), name="money-bills"),
    path("money/bills/<int:file_id>/", _view(bills.bill), name="money-bill"),
    path("money/bills/<int:file_id>/confirm/", _view(bills.confirm), name="money-bill-confirm"),
    path("money/bills/<int:file_id>/discard/", _view(bills.discard), name="money-bill-discard"),
    path("customers/", _view(customers.customers), name="customers"),
    path("customers/<slug:org_id>/", _view(customers.customer), name="customer"),
    path("customers/<slug:org_id>/note/", _view(customers.add_note), name="customer-note"),
    path("customers/<slug:org_id>/plan/", _view(customer_deeds.plan), name="customer-plan"),
    path("customers/<slug:org_id>/credit/", _view(customer_deeds.give), name="customer-give"),
    path("customers/<slug:org_id>/mail/", _view(customer_deeds.mail), name="customer-mail"),
    path("customers/<slug:org_id>/log-in-as/", _view(log_in_as.begin), name="customer-log-in-as"),
    path("customers/<slug:org_id>/freeze/", _view(customer_deeds.freeze), name="customer-freeze"),
    path("customers/<slug:org_id>/unfreeze/", _view(customer_deeds.unfreeze), name="customer-unfreeze"),
    path(
        "customers/<slug:org_id>/keys/<slug:key_id>/revoke/",
        _view(customer_deeds.revoke),
        name="customer-revoke",
    ),
    path(
        "customers/<slug:org_id>/top-ups/<slug:top_up_id>/refund/",
        _view(customer_deeds.refund),
        name="customer-refund",
    ),
]
