"""The navigation of the site and of the console: one list, for the pages and for the command palette."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse


@dataclass(frozen=True, slots=True)
class Place:
    """A page that the navigation leads to: its label, the name of its URL, and words to find it by.

    It counts as current for its own path and for all below it; ``sections`` are further paths that belong to it.
    """

    label: str
    url: str
    words: str = ""
    args: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where it is."""
        return reverse(self.url, args=self.args)

    def holds(self, path: str) -> bool:
        """Tell whether a path is this page, or below it."""
        own = self.path
        # The home page and the overview are above everything.
        return path == own or (own.count("/") > 2 and path.startswith(own)) or path.startswith(self.sections)


@dataclass(frozen=True, slots=True)
class Shown:
    """A place as a page shows it."""

    label: str
    path: str
    words: str
    is_current: bool


SITE = (
    Place("Pricing", "pricing", "prices plans cost"),
    Place("Quickstart", "quickstart", "docs first request start"),
    Place("Clients", "manual", "sdk tools", args=("clients",)),
)
FOOT: tuple[Place, ...] = ()
CONSOLE = (
    Place("Overview", "dashboard", "dashboard balance today live"),
    Place("API keys", "accounts:keys", "secret token limits", sections=("/keys/",)),
    Place("Playground", "playground", "try chat models side by side"),
    Place("Billing", "billing:overview", "credit top-up card balance", sections=("/billing/",)),
)
ACCOUNT = (
    Place("Email addresses", "account_email", "mail account"),
    Place("Password", "account_change_password", "security account"),
)


def context(request: HttpRequest) -> dict[str, object]:
    """Context processor: the places of the site, its foot, the console and the account, each as it stands on this page."""
    return {
        "site_places": _Places(SITE, request.path),
        "foot_places": _Places(FOOT, request.path),
        "console_places": _Places(CONSOLE, request.path),
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
            yield Shown(place.label, place.path, place.words, place.holds(self._path))


def _theme(request: HttpRequest) -> str:
    chosen = request.COOKIES.get("theme", "")
    return chosen if chosen in {"light", "dark"} else ""
