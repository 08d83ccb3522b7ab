"""The URLs of the keys pages, under /keys/."""

from __future__ import annotations

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("", views.key_list, name="keys"),
    path("create/", views.create_key, name="create-key"),
    path("<str:key_id>/revoke/", views.revoke_key, name="revoke-key"),
]
