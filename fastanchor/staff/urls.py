"""Addresses of staff's pages that are no table of one app; they stand before the admin's own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from fastanchor import channel_pages
from fastanchor.staff import customer_deeds, customers, log_in_as

_view = admin.site.admin_view

urlpatterns = [
    path("channels/", _view(channel_pages.channels_now), name="channels-now"),
    path("channels/<slug:channel_id>/test/", _view(channel_pages.test), name="channel-test"),
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
