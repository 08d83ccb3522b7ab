"""The navigation of the site and of the console: one list, for the pages and for the command palette."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from django.http import HttpRequest
from django.urls import reverse


@cache
def _path(url: str, args: tuple[str, ...]) -> str:
    # Every page shows dozens of places, each several times.
    return reverse(url, args=args)


@dataclass(frozen=True, slots=True)
class Place:
    """A page that the navigation leads to: its label, the name of its URL, and words to find it by.

    It counts as current for its own path and for all below it; ``sections`` are further paths that belong to it. ``icon`` is a symbol of ``static/vendor/lucide/sprite.svg``.
    """

    label: str
    url: str
    words: str = ""
    args: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    icon: str = ""

    @property
    def path(self) -> str:
        """Where it is."""
        return _path(self.url, self.args)

    def holds(self, path: str) -> bool:
        """Tell whether a path is this page, or below it."""
        own = self.path
        # Home and the overviews are above all others.
        return path == own or (own.count("/") > 2 and path.startswith(own)) or path.startswith(self.sections)


@dataclass(frozen=True, slots=True)
class Shown:
    """A place as a page shows it."""

    label: str
    path: str
    words: str
    icon: str
    is_current: bool


SITE = (
    Place("Models", "models", "catalogue list search compare", sections=("/models/",)),
    Place("Pricing", "pricing", "prices plans cost"),
    Place("Docs", "docs", "documentation quickstart api reference sdk tools clients", sections=("/docs/",)),
    Place("Status", "status", "uptime incidents outage latency"),
)
FOOT = (
    Place("Terms", "legal", "legal conditions", args=("terms",)),
    Place("Privacy", "legal", "legal data", args=("privacy",)),
    Place("Refunds", "legal", "legal money back", args=("refunds",)),
    Place("Imprint", "legal", "legal contact address", args=("imprint",)),
)
CONSOLE = (
    Place("Overview", "dashboard", "dashboard balance today live", icon="layout-dashboard"),
    Place(
        "Activity",
        "activity",
        "requests log live tail expensive",
        sections=("/dashboard/requests/", "/dashboard/exports/"),
        icon="scroll-text",
    ),
    Place("Usage", "usage", "analytics spend tokens charts cost errors latency models", icon="chart-column"),
    Place("API keys", "accounts:keys", "secret token limits", sections=("/keys/",), icon="key-round"),
    Place("Playground", "playground", "try chat models side by side", icon="messages-square"),
    Place(
        "Billing", "billing:overview", "credit top-up card balance", sections=("/billing/",), icon="wallet"
    ),
    Place(
        "Settings",
        "settings:profile",
        "account preferences",
        sections=("/settings/", "/accounts/"),
        icon="settings",
    ),
)
ACCOUNT = (
    Place("Settings", "settings:profile"),
    Place("Security", "mfa_index"),
    Place("Sessions", "settings:sessions"),
)
_SETTINGS = (
    Place(
        "Profile", "settings:profile", "name email address time zone theme", sections=("/accounts/email/",)
    ),
    Place("Organization", "settings:organization", "plan limits rename"),
    Place("Provider keys", "settings:provider-keys", "bring your own key byok openai anthropic"),
    Place("Notifications", "settings:notifications", "mail email alerts unsubscribe"),
    Place("Privacy", "settings:privacy", "stored responses retention delete"),
    Place(
        "Security", "mfa_index", "password two-factor 2fa passkey recovery", sections=("/accounts/password/",)
    ),
    Place("Sessions", "settings:sessions", "devices logged in log out"),
    Place("Data export", "settings:data-export", "download all my data zip takeout"),
    Place("Delete account", "settings:delete", "close leave"),
)
# Places within one place of the console, shown above its pages.
_ACTIVITY = (
    Place("Requests", "activity", "log live tail", sections=("/dashboard/requests/",)),
    Place("Exports", "exports", "csv json lines download file"),
)
_BILLING = (
    Place("Balance", "billing:overview"),
    Place("Transactions", "billing:transactions", "history csv"),
    Place("Invoices", "billing:invoices", "receipts credit notes pdf"),
    Place("Statements", "billing:statements", "months pdf"),
    Place("Automatic top-up", "billing:automatic", "low balance alert mail card"),
    Place("Budgets", "billing:budgets", "limits spending"),
    Place("Cards", "billing:cards", "payment methods"),
    Place("Billing details", "billing:details", "company address tax id vat"),
)
SECTIONS = {
    "/dashboard/activity/": _ACTIVITY,
    "/dashboard/exports/": _ACTIVITY,
    "/billing/": _BILLING,
    "/settings/": _SETTINGS,
    # allauth's pages for those who are logged in.
    "/accounts/": _SETTINGS,
}
_GROUPS = (("Activity", _ACTIVITY), ("Billing", _BILLING), ("Settings", _SETTINGS))


def context(request: HttpRequest) -> dict[str, object]:
    """Context processor: the places of the site, its foot, the console and the account, each as it stands on this page."""
    return {
        "site_places": _Places(SITE, request.path),
        "foot_places": _Places(FOOT, request.path),
        "console_places": _Places(CONSOLE, request.path),
        "section_places": _Places(_section(request.path), request.path),
        "console_groups": [(group, _Places(places, request.path)) for group, places in _GROUPS],
        "account_places": _Places(ACCOUNT, request.path),
        "theme": _theme(request),
    }


class _Places:
    """Looked up when a template walks over them: many answers show no navigation."""

    def __init__(self, places: tuple[Place, ...], path: str) -> None:
        self._places = places
        self._path = path

    def __iter__(self) -> Iterator[Shown]:
        for place in self._places:
            yield Shown(place.label, place.path, place.words, place.icon, place.holds(self._path))


def _section(path: str) -> tuple[Place, ...]:
    return next((places for start, places in SECTIONS.items() if path.startswith(start)), ())


def _theme(request: HttpRequest) -> str:
    chosen = request.COOKIES.get("__Host-theme") or request.COOKIES.get("theme", "")
    return chosen if chosen in {"light", "dark"} else ""
