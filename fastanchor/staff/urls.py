"""Addresses of staff's pages that are no table of one app; they stand before the admin's own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from fastanchor import channel_pages
from fastanchor.staff import operations_pages

_view = admin.site.admin_view

urlpatterns = [
    # In the place of the admin's own index, and under its name.
    path("", _view(operations_pages.index)),
    path("live/", _view(operations_pages.stream), name="operations-live"),
    path("channels/", _view(channel_pages.channels_now), name="channels-now"),
    path("channels/<slug:channel_id>/test/", _view(channel_pages.test), name="channel-test"),
]
