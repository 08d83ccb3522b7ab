"""Addresses of staff's pages that are no table of one app; they stand before the admin's own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from fastanchor import channel_pages
from fastanchor.staff import (
    bills,
    drift_pages,
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
]
