"""Django's registration of this app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out

from accounts import stamps


class AccountsConfig(AppConfig):
    """Names the app."""

    name = "accounts"
    # The admin shows it beside allauth's own "Accounts".
    verbose_name = "Customers"

    def ready(self) -> None:
        """Let every login write down when its session began, and hear what becomes of second factors."""
        user_logged_in.connect(stamps.begin, dispatch_uid="accounts.session_begun")
        user_logged_out.connect(
            import_module("accounts.log_in_as").logged_out, dispatch_uid="accounts.log_in_as_ended"
        )
        import_module("accounts.audited_signals").connect()
        import_module("allauth.mfa.signals").authenticator_added.connect(
            import_module("accounts.staff").factor_set_up, dispatch_uid="accounts.factor_set_up"
        )
