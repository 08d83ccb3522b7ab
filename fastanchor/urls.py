"""The whole URL map but for what is answered before it: hot endpoints of /v1 (asgi.py) and health (health.py)."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from billing import webhooks
from fastanchor import live
from fastanchor.pages import activity, docs, exports, overview, receipts, site, tail
from gateway.endpoints import ENDPOINTS
from gateway.views import missing_prefix, unknown_path

urlpatterns = [
    path("", site.home, name="home"),
    path("pricing/", site.pricing, name="pricing"),
    path("quickstart/", docs.quickstart, name="quickstart"),
    path("docs/<slug:name>/", docs.manual_page, name="manual"),
    path("dashboard/", overview.overview, name="dashboard"),
    path("dashboard/live/", live.stream, name="live"),
    path("dashboard/requests/<slug:request_id>/", receipts.request_page, name="request"),
    path("dashboard/activity/", activity.log, name="activity"),
    path("dashboard/activity/live/", tail.stream, name="activity-live"),
    path("dashboard/exports/", exports.export_list, name="exports"),
    path("dashboard/exports/<slug:export_id>/", exports.export_page, name="export"),
    path("dashboard/exports/<slug:export_id>/progress/", exports.export_progress, name="export-progress"),
    path("dashboard/exports/<slug:export_id>/cancel/", exports.cancel_export, name="cancel-export"),
    path("dashboard/exports/<slug:export_id>/download/", exports.download, name="download-export"),
    path("keys/", include("accounts.urls")),
    path("billing/", include("billing.urls")),
    path("settings/", include("fastanchor.pages.settings_urls")),
    # The page of the settings reads any number of sessions at once.
    path(
        "accounts/sessions/", RedirectView.as_view(pattern_name="settings:sessions"), name="usersessions_list"
    ),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("webhooks/stripe/", webhooks.receive, name="stripe-webhook"),
    path("v1/", include("gateway.urls")),
    path("v1", unknown_path),
    *(path(each.removeprefix("/v1/"), missing_prefix) for each in (*ENDPOINTS, "/v1/models")),
]
