"""Everything under /v1."""

from __future__ import annotations

from django.urls import path

from gateway import views
from gateway.api import api

urlpatterns = [
    path("", views.unknown_path),
    path("chat/completions", views.chat_completions, name="chat-completions"),
    path("", api.urls),
    path("<path:path>", views.unknown_path),
]
