"""The environment of the local stack: made once, kept in the data folder, found again by every command."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

_FILE = "env.json"
_CHECKOUT = Path(__file__).resolve().parent.parent.parent
# What stands before a secret's digits: the name of the first key of a ring.
_SECRETS = {
    "FASTANCHOR_SECRET_KEY": "",
    "FASTANCHOR_API_KEY_PEPPERS": "1:",
    "FASTANCHOR_CHANNEL_KEYS": "k1:",
    "FASTANCHOR_ARCHIVE_KEYS": "a1:",
}
_STRIPE_SECRETS = {"STRIPE_SECRET_KEY": "sk_test_", "STRIPE_WEBHOOK_SECRET": "whsec_"}


def data_folder() -> Path:
    """Return the folder that ``FASTANCHOR_DATA_DIR`` names, else ``.local`` in the checkout."""
    named = os.environ.get("FASTANCHOR_DATA_DIR")
    return Path(named).expanduser().resolve() if named else _CHECKOUT / ".local"


def prepare_environment(folder: Path, *, database_url: str, redis_url: str, port: int) -> None:
    """Set every name the settings read and write them down for commands in other terminals.

    Names the developer has set stay as they are; secrets are made once per folder.
    """
    known = read_environment(folder)
    values = {
        "FASTANCHOR_ENV": "development",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "FASTANCHOR_DATA_DIR": str(folder),
        "FASTANCHOR_ALLOW_PRIVATE_UPSTREAMS": "1",
        "FASTANCHOR_SANDBOX_URL": f"http://127.0.0.1:{port + 2}/v1",
        "FASTANCHOR_DRAIN_S": "5",
        "FASTANCHOR_ORIGIN": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "GATEWAY_PORT": str(port + 1),
        "WEB_SHIPPER": "0",
        "CELERY_POOL": "threads",
        # A developer who is root need not be told at every start.
        "PYTHONWARNINGS": "ignore:You're running the worker",
    }
    secrets_by_name = _SECRETS
    if has_fake_stripe(folder):
        values["STRIPE_API_BASE"] = f"http://127.0.0.1:{port + 3}"
        secrets_by_name = _SECRETS | _STRIPE_SECRETS
    values |= {
        name: known.get(name) or first + secrets.token_hex(32) for name, first in secrets_by_name.items()
    }
    values = {name: os.environ.get(name) or value for name, value in values.items()}
    write_private(folder / _FILE, values)
    os.environ |= values


def has_fake_stripe(folder: Path) -> bool:
    """Say whether the local stack brings a Stripe of its own: where the developer names no key."""
    ours = read_environment(folder).get("STRIPE_SECRET_KEY")
    return os.environ.get("STRIPE_SECRET_KEY", ours) == ours and "STRIPE_SECRET_KEY_FILE" not in os.environ


def read_environment(folder: Path) -> dict[str, str]:
    """Return what was written down, or nothing."""
    values: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError, PermissionError):
        path = folder / _FILE
        # Whoever may write this file chooses our database: only ourselves and root may.
        if path.stat().st_uid in {0, os.geteuid()}:
            values = json.loads(path.read_text(encoding="utf-8"))
    return values


def adopt_environment() -> None:
    """Let a command in a second terminal use the local stack; production and tests are left alone."""
    if os.environ.get("FASTANCHOR_ENV", "development") != "development":
        return
    values = read_environment(data_folder())
    if os.environ.get("DATABASE_URL", values.get("DATABASE_URL")) != values.get("DATABASE_URL"):
        return
    for name, value in values.items():
        os.environ.setdefault(name, value)


def write_private(path: Path, values: dict[str, str]) -> None:
    """Replace a JSON file that only we may read."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(values, file, indent=2)
    fresh.replace(path)
