"""Reading the environment: typed, every missing name reported at once, secrets also from files."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from fastanchor.lib.networks import Network, NoRange, ranges_of

missing: list[str] = []


def env_str(name: str, default: str | None = None) -> str:
    """Return a variable; without a default a missing one is collected for ``refuse_missing``."""
    value = os.environ.get(name)
    if value is not None:
        return value
    if default is None:
        missing.append(name)
        return ""
    return default


def env_secret(name: str, default: str | None = None) -> str:
    """Return a secret from ``NAME`` or from the file that ``NAME_FILE`` names."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    return env_str(name, default)


def env_bool(name: str, *, default: bool = False) -> bool:
    """Return a switch: 1, true, yes, on or 0, false, no, off."""
    value = os.environ.get(name, "").strip().lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    message = f"{name} must be 1 or 0, not {value!r}."
    raise ImproperlyConfigured(message)


def env_int(name: str, default: int) -> int:
    """Return a whole number."""
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    try:
        return int(value)
    except ValueError:
        message = f"{name} must be a whole number, not {value!r}."
        raise ImproperlyConfigured(message) from None


def env_list(name: str, default: str = "") -> list[str]:
    """Return a comma-separated list without its empty parts."""
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def env_ranges(name: str) -> tuple[Network, ...]:
    """Return a comma-separated list of addresses and ranges."""
    try:
        return ranges_of(env_list(name))
    except NoRange as exc:
        message = f"{name} must list addresses and ranges: {exc}"
        raise ImproperlyConfigured(message) from None


def refuse_missing() -> None:
    """Raise once, naming every required variable that is not set."""
    if missing:
        names = ", ".join(sorted(set(missing)))
        message = f"Set {names}. The names are explained in .env.example; ./dev up sets them by itself."
        raise ImproperlyConfigured(message)
