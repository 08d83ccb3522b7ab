"""The URLs of the keys pages, under /keys/."""

from __future__ import annotations

from django.urls import path

from fastanchor.pages import keys

app_name = "accounts"
urlpatterns = [
    path("", keys.key_list, name="keys"),
    path("create/", keys.create_key, name="create-key"),
    path("<str:key_id>/", keys.key_page, name="key"),
    path("<str:key_id>/revoke/", keys.revoke_key, name="revoke-key"),
    path("<str:key_id>/rotate/", keys.rotate_key, name="rotate-key"),
    path("<str:key_id>/end-old-secret/", keys.end_old_secret, name="end-old-secret"),
]
