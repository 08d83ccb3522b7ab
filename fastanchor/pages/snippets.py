"""What every snippet on a page is filled with: the host it is served from and the reader's key."""

from __future__ import annotations

from django.http import HttpRequest

from accounts import keys, organizations
from accounts.models import ApiKey

PLACEHOLDER_KEY = "YOUR_KEY"
LANGUAGES = ("curl", "python", "javascript")


def newest_key(request: HttpRequest) -> ApiKey | None:
    """Return the reader's newest live key; ``None`` for strangers and those who have none."""
    if not request.user.is_authenticated:
        return None
    # A page behind the login has looked it up already.
    organization = getattr(request, "organization", None) or organizations.of_user(request.user)
    return keys.live_keys(organization).order_by("-created_at", "pk").first()


def shown(key: ApiKey | None) -> str:
    """Return what stands for the key in a snippet: the prefix of the reader's own, where there is one."""
    return f"{key.prefix}…" if key else PLACEHOLDER_KEY


def context(request: HttpRequest, key: str = PLACEHOLDER_KEY) -> dict[str, str]:
    """Return the context of the templates in ``snippets/``."""
    origin = request.build_absolute_uri("/").rstrip("/")
    return {"base_url": f"{origin}/v1", "origin": origin, "key": key}


def files(kind: str) -> dict[str, str]:
    """Return the templates of the snippets that call a model of a kind, by language."""
    folder = "snippets" if kind == "chat" else f"snippets/{kind}"
    return {language: f"{folder}/{language}.html" for language in LANGUAGES}
