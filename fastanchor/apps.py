"""Django's registration of the composition root."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class FastanchorConfig(AppConfig):
    """Names the app."""

    name = "fastanchor"

    def ready(self) -> None:
        """Hear allauth; its signals are the only ones we listen to."""
        import_module("fastanchor.signup")
