"""The pytest plugin that runs every test on a real, throw-away PostgreSQL and Valkey.

It prepares the environment before Django's settings are read. ``DATABASE_URL`` and ``REDIS_URL`` are used when
they are set, and tests then empty database number 15 (less the worker's number) of that Valkey.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import redis

from fastanchor.local.account import CannotStart
from fastanchor.local.folders import FolderLock
from fastanchor.local.servers import Servers, start_servers

_PREFIX = "fastanchor-test-"
_FOREIGN_DATABASE = 15
_KEPT = {
    "FASTANCHOR_PG_BIN",
    "FASTANCHOR_VALKEY_BIN",
    "FASTANCHOR_BROWSER",
    "FASTANCHOR_TEST_DATABASE",
    "STRIPE_TEST_BASE",
    "STRIPE_TEST_KEY",
}
_ABANDONED_S = 60


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start the servers before pytest-django reads the settings; pytest's own clean-up stops them."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        _separate_worker(int(worker.removeprefix("gw")) + 1)
    else:
        _start(early_config)
    return (yield)


def _start(config: pytest.Config) -> None:
    foreign_valkey = bool(os.environ.get("REDIS_URL"))
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    folder.chmod(0o711)
    lock = FolderLock(folder)
    config.add_cleanup(lock.release)
    servers = _servers(folder)
    config.add_cleanup(servers.stop)
    redis_url = _with_number(servers.redis_url, _FOREIGN_DATABASE) if foreign_valkey else servers.redis_url
    _export(folder, servers.database_url, redis_url)


def _servers(folder: Path) -> Servers:
    try:
        return start_servers(folder, durable=False)
    except CannotStart as exc:
        raise pytest.UsageError(str(exc)) from None


def _export(folder: Path, database_url: str, redis_url: str) -> None:
    """Set every name the settings read, and hide the developer's own provider and Stripe keys."""
    for name in list(os.environ):
        if name not in _KEPT and (name.startswith(("FASTANCHOR_", "STRIPE_")) or name.endswith("_API_KEY")):
            del os.environ[name]
    (folder / "mail").mkdir()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "fastanchor.settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "FASTANCHOR_ENV": "test",
        "FASTANCHOR_DATA_DIR": str(folder),
        "FASTANCHOR_SECRET_KEY": secrets.token_hex(32),
        "FASTANCHOR_API_KEY_PEPPERS": f"1:{secrets.token_hex(32)}",
        "FASTANCHOR_CHANNEL_KEYS": f"k1:{secrets.token_hex(32)}",
        "FASTANCHOR_ARCHIVE_KEYS": f"a1:{secrets.token_hex(32)}",
        "FASTANCHOR_EMAIL_URL": (folder / "mail").as_uri(),
        "FASTANCHOR_ALLOW_PRIVATE_UPSTREAMS": "1",
        # Tests of it switch it on; those of the admin's pages need not go through it each time.
        "FASTANCHOR_STAFF_SECOND_FACTOR": "0",
        "FASTANCHOR_HOLD_REBUILD_GRACE_MS": "0",
    }


def _separate_worker(number: int) -> None:
    """Give a worker of pytest-xdist its own Valkey database and folder; pytest-django splits PostgreSQL."""
    url = os.environ["REDIS_URL"]
    current = int(re.findall(r"\d+$", url)[0])
    os.environ["REDIS_URL"] = _with_number(url, number if current == 0 else current - number)
    folder = Path(os.environ["FASTANCHOR_DATA_DIR"]) / f"worker-{number}"
    folder.mkdir()
    os.environ["FASTANCHOR_DATA_DIR"] = str(folder)


def _with_number(url: str, number: int) -> str:
    """Return a Valkey URL that selects database ``number``."""
    if "db=" in url:
        return re.sub(r"db=\d+", f"db={number}", url)
    if url.startswith("unix:"):
        return f"{url}{'&' if '?' in url else '?'}db={number}"
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/')[0]}/{number}"


def _sweep() -> None:
    """Remove folders that a killed run left behind."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, CannotStart):
            status = folder.stat()
            if status.st_uid == os.geteuid() and time.time() - status.st_mtime > _ABANDONED_S:
                FolderLock(folder).release()
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _empty_valkey() -> Iterator[None]:
    """Leave nothing in Valkey for the next test."""
    yield
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushdb()
