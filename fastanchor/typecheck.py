"""The settings as the type checker loads them: names filled in, nothing reached."""

from __future__ import annotations

import os

_NAMES = (
    "FASTANCHOR_SECRET_KEY",
    "FASTANCHOR_API_KEY_PEPPERS",
    "FASTANCHOR_CHANNEL_KEYS",
    "FASTANCHOR_ARCHIVE_KEYS",
)

os.environ.update(dict.fromkeys(_NAMES, "1:00"))
os.environ.update(
    {"FASTANCHOR_ENV": "test", "DATABASE_URL": "postgres:///types", "REDIS_URL": "unix:///types"}
)

from fastanchor.settings import *  # noqa: E402, F403 - the names above must be set first
