"""The whole URL map but for what is answered before it: hot endpoints of /v1 (asgi.py) and health (health.py)."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from billing import webhooks
from fastanchor import live
from fastanchor.pages import (
    activity,
    crawlers,
    docs,
    exports,
    legal,
    models,
    notices,
    overview,
    palette,
    playground,
    receipts,
    site,
    status,
    tail,
    usage,
)
from fastanchor.staff import log_in_as
from gateway.endpoints import ENDPOINTS
from gateway.views import missing_prefix, unknown_path

register_converter(models.ModelId, "model")

urlpatterns = [
    path("", site.home, name="home"),
    path("models", models.without_slash),
    path("models/", models.catalogue, name="models"),
    path("models/<model:model_id>/", models.model_page, name="model"),
    path("find.json", palette.find, name="palette"),
    path("pricing/", site.pricing, name="pricing"),
    path("legal/<slug:slug>/", legal.document, name="legal"),
    path("robots.txt", crawlers.robots, name="robots"),
    path("sitemap.xml", crawlers.sitemap, name="sitemap"),
    path(".well-known/security.txt", crawlers.security, name="security-txt"),
    path("favicon.ico", crawlers.favicon),
    path("status/", status.status, name="status"),
    path("status/feed.atom", status.feed, name="status-feed"),
    path("status.json", status.status_json, name="status-json"),
    path("quickstart/", RedirectView.as_view(pattern_name="quickstart", permanent=True)),
    path("docs/", docs.index, name="docs"),
    path("docs/search/", docs.find, name="docs-search"),
    path("docs/reference/", docs.reference, name="docs-reference"),
    path("docs/quickstart/", docs.page, {"name": "quickstart"}, name="quickstart"),
    path("docs/<slug:name>/", docs.page, name="manual"),
    path("dashboard/", overview.overview, name="dashboard"),
    path("dashboard/notices/dismiss/", notices.dismiss, name="dismiss-notice"),
    path("dashboard/usage/", usage.usage, name="usage"),
    path("dashboard/live/", live.stream, name="live"),
    path("dashboard/requests/<slug:request_id>/", receipts.request_page, name="request"),
    path("dashboard/activity/", activity.log, name="activity"),
    path("dashboard/activity/live/", tail.stream, name="activity-live"),
    path("dashboard/exports/", exports.export_list, name="exports"),
    path("dashboard/exports/<slug:export_id>/", exports.export_page, name="export"),
    path("dashboard/exports/<slug:export_id>/progress/", exports.export_progress, name="export-progress"),
    path("dashboard/exports/<slug:export_id>/cancel/", exports.cancel_export, name="cancel-export"),
    path("dashboard/exports/<slug:export_id>/download/", exports.download, name="download-export"),
    path("dashboard/playground/", playground.playground, name="playground"),
    path("dashboard/playground/key/", playground.mint_key, name="playground-key"),
    path("keys/", include("fastanchor.pages.key_urls")),
    path("billing/", include("billing.urls")),
    path("settings/", include("fastanchor.pages.settings_urls")),
    # The page of the settings reads any number of sessions at once.
    path(
        "accounts/sessions/", RedirectView.as_view(pattern_name="settings:sessions"), name="usersessions_list"
    ),
    path("accounts/", include("allauth.urls")),
    path("admin/", include("fastanchor.staff.urls")),
    # Outside of the admin, which might ask for a password before it lets anything end.
    path("end-log-in-as/", log_in_as.end, name="end-log-in-as"),
    path("admin/", admin.site.urls),
    path("webhooks/stripe/", webhooks.receive, name="stripe-webhook"),
    path("v1/", include("gateway.urls")),
    path("v1", unknown_path),
    *(path(each.removeprefix("/v1/"), missing_prefix) for each in (*ENDPOINTS, "/v1/models")),
]
