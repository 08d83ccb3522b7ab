"""Django's registration of this app."""

from __future__ import annotations

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """Names the app."""

    name = "gateway"
