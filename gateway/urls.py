"""Everything under /v1."""

from __future__ import annotations

from django.urls import path

from gateway import count_tokens, money_api, views
from gateway.api import api
from gateway.endpoints import ENDPOINTS
from gateway.responses_api import router

api.add_router("/responses", router)
api.add_router("", money_api.router)
urlpatterns = [
    path("", views.unknown_path),
    *(path(each.removeprefix("/v1/"), views.hot_endpoint) for each in ENDPOINTS),
    path("messages/count_tokens", count_tokens.count_tokens),
    path("", api.urls),
    path("<path:path>", views.unknown_path),
]
