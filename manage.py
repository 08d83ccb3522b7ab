"""Django's command line for FastAnchor."""

from __future__ import annotations

import os
import sys

import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError

from fastanchor.local.environment import adopt_environment
from fastanchor.local.up import up


def main() -> None:
    """Run one command; ``up`` comes before Django, because it starts what the settings need."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fastanchor.settings")
    if sys.argv[1:2] == ["up"]:
        sys.exit(up(sys.argv[2:]))
    adopt_environment()
    try:
        _ = settings.INSTALLED_APPS
    except ImproperlyConfigured as exc:
        sys.exit(f"fastanchor: {exc}")
    try:
        execute_from_command_line(sys.argv)
    except (OperationalError, redis.ConnectionError) as exc:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"fastanchor: {' '.join(str(exc).split())}")


if __name__ == "__main__":
    main()
