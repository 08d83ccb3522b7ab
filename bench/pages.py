"""``python -m bench.pages``: how long every page behind the login takes with a million usage records.

Server time through all of Django's stack, middleware and templates included, of one organization that has all the records;
embedded PostgreSQL and Valkey, started and ended by the command. See README.md.
"""

from __future__ import annotations

import argparse
import gc
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from fastanchor.local.servers import start_servers

if TYPE_CHECKING:
    from django.test import Client

    from accounts.models import User

TARGET_MS = 100
MOST_QUERIES = 12


@dataclass(frozen=True, slots=True)
class Limits:
    """What a page may take: 95 of 100 answers in less time, and so many queries at most."""

    milliseconds: int = TARGET_MS
    queries: int = MOST_QUERIES


@dataclass(frozen=True, slots=True)
class Measured:
    """One page: its status, its queries, and how many milliseconds each request took, the quickest first."""

    name: str
    status: int
    queries: int
    times_ms: list[float]
    limits: Limits = Limits()

    def percentile(self, percent: int) -> float:
        """Return the time that ``percent`` of the requests did not exceed."""
        return self.times_ms[max(0, -(-len(self.times_ms) * percent // 100) - 1)]

    @property
    def is_within(self) -> bool:
        """Tell whether the page answers, is quick, and asks little."""
        is_quick = self.percentile(95) < self.limits.milliseconds
        return self.status == 200 and is_quick and self.queries <= self.limits.queries


def measure(client: Client, name: str, path: str, *, requests: int, limits: Limits = Limits()) -> Measured:
    """Open a page once to warm up and to count its queries, then as often as wanted."""
    from django.db import connection  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    with CaptureQueriesContext(connection) as captured:
        status = client.get(path).status_code
    # At once: the next request forgets them.
    queries = len(captured)
    times = sorted(_timed(client, path) for _ in range(requests))
    return Measured(name, status, queries, times, limits)


def _timed(client: Client, path: str) -> float:
    begun = time.perf_counter()
    client.get(path)
    return (time.perf_counter() - begun) * 1_000


def lines(measured: list[Measured]) -> Iterator[str]:
    """Write the table."""
    yield f"{'page':<40} {'queries':>7} {'median':>9} {'p95':>9}"
    for each in measured:
        note = "" if each.is_within else f"  over the target, or status {each.status}"
        yield f"{each.name:<40} {each.queries:>7} {each.percentile(50):>6.1f} ms {each.percentile(95):>6.1f} ms{note}"


@contextmanager
def own_servers(folder: Path) -> Iterator[None]:
    """Start servers of our own, never anybody's real ones, and let Django's settings find them."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    servers = start_servers(folder, durable=False)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "fastanchor.settings",
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "FASTANCHOR_ENV": "test",
        "FASTANCHOR_DATA_DIR": str(folder),
        "FASTANCHOR_SECRET_KEY": secrets.token_hex(32),
        "FASTANCHOR_API_KEY_PEPPERS": f"1:{secrets.token_hex(32)}",
        "FASTANCHOR_CHANNEL_KEYS": f"k1:{secrets.token_hex(32)}",
        "FASTANCHOR_ARCHIVE_KEYS": f"a1:{secrets.token_hex(32)}",
    }
    try:
        yield
    finally:
        servers.stop()


def logged_in(user: User) -> Client:
    """Return a client in which somebody is logged in."""
    from django.conf import settings  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    from accounts.session_store import SessionStore  # noqa: PLC0415

    client = Client(raise_request_exception=False, headers={"host": "localhost"})
    client.force_login(user)
    # Django's client puts the session's key where the cookie holds the token (accounts.session_store).
    session = SessionStore(client.cookies[settings.SESSION_COOKIE_NAME].value)
    session.cycle_key()
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.token
    return client


def _run(records: int, requests: int) -> list[Measured]:
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    from bench import filling, signed_in  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    call_command("load_catalog", verbosity=0)
    begun = time.monotonic()
    filled = filling.fill(records=records)
    filling.analyze()
    print(
        f"{records:,} records in {time.monotonic() - begun:.0f} s; load {os.getloadavg()[0]:.1f}", flush=True
    )
    client = logged_in(filled.owner)
    assert client.get("/dashboard/").status_code == HTTPStatus.OK
    # As a serving process does once it is up (fastanchor.wiring): what lives now is not looked at again.
    gc.collect()
    gc.freeze()
    return [measure(client, page.label, page.path(filled), requests=requests) for page in signed_in.PAGES]


def main() -> int:
    """Fill, measure, print; 1 when a target is missed and ``--strict`` is given."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="usage records (1,000,000)")
    parser.add_argument("--requests", type=int, default=40, help="requests to each page (40)")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fastanchor-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with own_servers(folder):
            measured = _run(words.records, words.requests)
    print("\n".join(lines(measured)))
    print(f"load {os.getloadavg()[0]:.1f}; target: p95 below {TARGET_MS} ms, at most {MOST_QUERIES} queries")
    return int(words.strict and not all(each.is_within for each in measured))


if __name__ == "__main__":
    sys.exit(main())
