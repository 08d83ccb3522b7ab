"""Django's registration of this app."""

from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Names the app."""

    name = "billing"
