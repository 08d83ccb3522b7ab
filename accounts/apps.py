"""Django's registration of this app."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in

from accounts import stamps


class AccountsConfig(AppConfig):
    """Names the app."""

    name = "accounts"
    # The admin shows it beside allauth's own "Accounts".
    verbose_name = "Customers"

    def ready(self) -> None:
        """Let every login write down when its session began."""
        user_logged_in.connect(stamps.begin, dispatch_uid="accounts.session_begun")
