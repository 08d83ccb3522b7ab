"""Every page behind the login, as the bench of pages opens it: a new page gets a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse

from bench.filling import Filled


@dataclass(frozen=True, slots=True)
class Opened:
    """A page that is measured: the name of its URL, its path and, where several are, which view of it."""

    name: str
    path: Callable[[Filled], str]
    view: str = ""

    @property
    def label(self) -> str:
        """How the table names it."""
        return f"{self.name}, {self.view}" if self.view else self.name


def _page(name: str, query: str = "", *, view: str = "") -> Opened:
    return Opened(name, lambda _: f"{reverse(name)}{query}", view)


PAGES = (
    _page("dashboard"),
    _page("usage"),
    _page("usage", "?range=today&group=member", view="today by member"),
    _page("usage", "?range=90d&group=model", view="90 days by model"),
    _page("usage", "?range=90d&group=key&measure=tokens", view="90 days of tokens by key"),
    _page("usage", "?range=90d&group=provider&measure=latency", view="90 days of latency by provider"),
    _page("activity"),
    _page("activity", "?range=30d&outcome=failed", view="what failed"),
    Opened(
        "activity", lambda filled: f"{reverse('activity')}?range=any&key={filled.key_id}", view="of one key"
    ),
    _page("exports"),
    _page("playground"),
    Opened("request", lambda filled: reverse("request", args=[filled.request_id])),
    _page("accounts:keys"),
    Opened("accounts:key", lambda filled: reverse("accounts:key", args=[filled.key_id])),
    _page("billing:overview"),
    _page("billing:transactions"),
    _page("billing:statements"),
    _page("billing:invoices"),
    _page("billing:cards"),
    _page("billing:details"),
    _page("billing:budgets"),
    _page("billing:automatic"),
    Opened("billing:key-budgets", lambda filled: reverse("billing:key-budgets", args=[filled.key_id])),
    _page("settings:profile"),
    _page("settings:organization"),
    _page("settings:provider-keys"),
    _page("settings:notifications"),
    _page("settings:privacy"),
    _page("settings:sessions"),
    _page("settings:data-export"),
    _page("settings:delete"),
    _page("mfa_index"),
    _page("account_email"),
    _page("account_change_password"),
    _page("account_logout"),
)
# Behind the login, and not measured: why.
OTHERS: dict[str, str] = {
    "live": "a stream that does not end",
    "activity-live": "a stream that does not end",
    "export": "one card of the list of exports",
    "export-progress": "one card of the list of exports",
    "download-export": "a file of any length, in pieces",
    "billing:top-up": "asks Stripe",
    "billing:refund": "asks Stripe",
    "billing:resume-top-up": "leads on to Stripe",
    "billing:export": "a file of any length, in pieces",
    "billing:invoice": "a document",
    "billing:receipt": "a document",
    "billing:statement": "a document",
    "settings:provider-key": "as small as the list of them",
    "account_set_password": "leads to another page for who has a password",
    "account_reauthenticate": "leads to another page for who has just logged in",
    "account_confirm_login_code": "for who is not logged in",
    "account_email_verification_sent": "for who is not logged in",
    "usersessions_list": "leads to the page of the settings",
    **dict.fromkeys(
        (
            "mfa_authenticate", "mfa_reauthenticate", "mfa_activate_totp", "mfa_deactivate_totp",
            "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes",
            "mfa_list_webauthn", "mfa_add_webauthn", "mfa_reauthenticate_webauthn", "mfa_remove_webauthn",
            "mfa_edit_webauthn", "mfa_login_webauthn",
        ),
        "a form about one person's second factors",
    ),
}  # fmt: skip
