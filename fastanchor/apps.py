"""Django's registration of the composition root."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class FastanchorConfig(AppConfig):
    """Names the app."""

    name = "fastanchor"

    def ready(self) -> None:
        """Hear allauth, whose signals are the only ones we listen to, and let accounts be exported."""
        import_module("fastanchor.signup")
        takeout = import_module("fastanchor.takeout")
        import_module("billing.exports.writers").register(takeout.KIND, takeout.AccountWriter())
