"""Addresses of staff's pages that are no table of one app; they stand before the admin's own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from fastanchor import channel_pages
from fastanchor.staff import drift_pages, price_adding, price_pages, retirement_pages

_view = admin.site.admin_view

urlpatterns = [
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
]
