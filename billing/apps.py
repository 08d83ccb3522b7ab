"""Django's registration of this app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Names the app."""

    name = "billing"

    def ready(self) -> None:
        """Let requests be exported."""
        requests = import_module("billing.exports.requests")
        import_module("billing.exports.writers").register("requests", requests.RequestWriter())
