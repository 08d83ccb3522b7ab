"""Django's registration of the composition root."""

from __future__ import annotations

from django.apps import AppConfig


class FastanchorConfig(AppConfig):
    """Names the app."""

    name = "fastanchor"
