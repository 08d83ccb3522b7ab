"""Django's registration of the composition root."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class FastanchorConfig(AppConfig):
    """Names the app."""

    name = "fastanchor"

    def ready(self) -> None:
        """Hear allauth, write the groups of staff after migrations, and let accounts be exported."""
        import_module("fastanchor.signup")
        takeout = import_module("fastanchor.takeout")
        import_module("billing.exports.writers").register(takeout.KIND, takeout.AccountWriter())
        # By then the permissions of every app with tables are there.
        *_, last = (app for app in apps.get_app_configs() if app.models_module is not None)
        post_migrate.connect(import_module("fastanchor.staff.roles").write_groups, sender=last)
