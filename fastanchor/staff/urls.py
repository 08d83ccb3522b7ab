"""Addresses of staff's pages that are no table of one app; they stand before the admin's own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from fastanchor import channel_pages
from fastanchor.staff import bills, money

_view = admin.site.admin_view

urlpatterns = [
    path("channels/", _view(channel_pages.channels_now), name="channels-now"),
    path("channels/<slug:channel_id>/test/", _view(channel_pages.test), name="channel-test"),
    path("money/", _view(money.months), name="money"),
    path("money/export.csv", _view(money.export), name="money-export"),
    path("money/months/<slug:month>/", _view(money.month), name="money-month"),
    path("money/days/<slug:day>/", _view(money.day), name="money-day"),
    path("money/bills/", _view(bills.bills), name="money-bills"),
    path("money/bills/<int:file_id>/", _view(bills.bill), name="money-bill"),
    path("money/bills/<int:file_id>/confirm/", _view(bills.confirm), name="money-bill-confirm"),
    path("money/bills/<int:file_id>/discard/", _view(bills.discard), name="money-bill-discard"),
]
