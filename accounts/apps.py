"""Django's registration of this app."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Names the app."""

    name = "accounts"
    # The admin shows it beside allauth's own "Accounts".
    verbose_name = "Customers"
