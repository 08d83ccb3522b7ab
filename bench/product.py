"""The product under measurement: its servers, one organization with room for everything, a gateway and a shipper."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis

from bench.machine import StartFailed, command_line, move_to_other_core, started, tree, wait_for
from bench.parts import free_port, is_answering
from billing.holds import known_holds
from fastanchor.local.servers import Servers, start_servers

_ROOT = Path(__file__).resolve().parent.parent
_MANAGE = str(_ROOT / "manage.py")
_CREDIT_CENTS = 500_000_000
_PLENTY = 2_000_000_000
_START_S = 60.0
_QUIESCE_S = 20.0
# What one answer of the fake upstream costs at gpt-4o's price: 57 tokens of input, 100 of output, in nano-USD.
COST_NANO = (57 * 2_500_000 + 100 * 10_000_000) // 1000


class WrongMeter(Exception):
    """Requests, usage records, holds and costs do not agree: no figure of this run is worth anything."""


@dataclass(frozen=True, slots=True)
class Customer:
    """The organization that calls, its unlimited key, and a key with one request a minute."""

    organization_id: str
    key: str
    narrow_key: str


@dataclass(frozen=True, slots=True)
class Product:
    """Everything that runs without the gateway."""

    environ: dict[str, str]
    servers: Servers
    customer: Customer
    folder: Path


@contextmanager
def product(folder: Path, upstream_port: int) -> Iterator[Product]:
    """Start PostgreSQL and Valkey, create the tables, the catalog, the channel and the customer."""
    # Never anybody's real database: only servers that this call starts and ends.
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    servers = start_servers(folder, durable=False)
    try:
        environ = _environ(folder, servers)
        yield Product(environ, servers, _prepare(environ, upstream_port), folder)
    finally:
        servers.stop()


def _environ(folder: Path, servers: Servers) -> dict[str, str]:
    foreign = ("FASTANCHOR_", "STRIPE_", "GATEWAY_", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    kept = {name: value for name, value in kept.items() if not name.endswith("_API_KEY")}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "fastanchor.settings",
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "FASTANCHOR_ENV": "development",
        "FASTANCHOR_DATA_DIR": str(folder),
        "FASTANCHOR_SECRET_KEY": secrets.token_hex(32),
        "FASTANCHOR_API_KEY_PEPPERS": f"1:{secrets.token_hex(32)}",
        "FASTANCHOR_CHANNEL_KEYS": f"k1:{secrets.token_hex(32)}",
        "FASTANCHOR_ARCHIVE_KEYS": f"a1:{secrets.token_hex(32)}",
        "FASTANCHOR_ALLOW_PRIVATE_UPSTREAMS": "1",
        "FASTANCHOR_HOLD_REBUILD_GRACE_MS": "0",
        # Not what is measured, and under valgrind every wait is fifty times as long.
        "FASTANCHOR_VALKEY_TIMEOUT_MS": "10000",
        "PYTHONHASHSEED": "0",
    }


def manage(environ: dict[str, str], *words: str) -> str:
    """Run one management command and return what it printed; raises ``StartFailed``."""
    ended = subprocess.run(
        [sys.executable, _MANAGE, *words],
        env=environ,
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if ended.returncode:
        message = f"manage.py {' '.join(words)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        raise StartFailed(message)
    return ended.stdout


def _manage_json(environ: dict[str, str], *words: str) -> dict[str, Any]:
    # Log lines may come first.
    answer: dict[str, Any] = json.loads(manage(environ, *words, "--json").splitlines()[-1])
    return answer


def _prepare(environ: dict[str, str], upstream_port: int) -> Customer:
    manage(environ, "migrate", "--verbosity", "0")
    manage(environ, "load_catalog")
    base_url = f"http://127.0.0.1:{upstream_port}/v1"
    _manage_json(
        environ, "channel_add", "--provider", "openai", "--base-url", base_url, "--api-key", "sk-bench"
    )
    owner = ["--email", "bench@example.com", "--plan", "enterprise", "--credit-cents", str(_CREDIT_CENTS)]
    organization_id = str(_manage_json(environ, "organization_create", *owner)["id"])
    _widen(environ["DATABASE_URL"], organization_id)
    key = _manage_json(environ, "apikey_create", "--organization", organization_id)["secret"]
    narrow = _manage_json(environ, "apikey_create", "--organization", organization_id, "--rpm", "1")["secret"]
    return Customer(organization_id, str(key), str(narrow))


def _widen(database_url: str, organization_id: str) -> None:
    """Give the organization limits that no run reaches; they are checked at each request all the same."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE accounts_organization SET requests_per_minute = %s, tokens_per_minute = %s, concurrency = %s WHERE id = %s",
            [_PLENTY, _PLENTY * 1000, _PLENTY, organization_id],
        )


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway: its port and the root of its processes."""

    port: int
    pid: int

    def processes(self) -> set[int]:
        """Return what answers requests: all of its processes without the shipper."""
        return tree(self.pid) - self.shippers()

    def shippers(self) -> set[int]:
        """Return the shipper, whose work follows the answers."""
        return {pid for pid in tree(self.pid) if command_line(pid).endswith("manage.py shipper ")}


@contextmanager
def gateway(product: Product) -> Iterator[Gateway]:
    """Run ``manage.py gateway`` with one worker on the measured core, its shipper on the other one."""
    port, log = free_port(), product.folder / "gateway.log"
    environ = product.environ | {"GATEWAY_PORT": str(port), "GATEWAY_WORKERS": "1"}
    with started([sys.executable, _MANAGE, "gateway"], log=log, is_measured=True, environ=environ) as running:
        # The supervisor listens before its worker can answer.
        wait_for(running, log, is_ready=lambda: is_answering(port), patience_s=_START_S)
        found = Gateway(port, running.pid)
        move_to_other_core(found.shippers())
        yield found


@contextmanager
def lone_worker(product: Product, under: Sequence[str]) -> Iterator[Gateway]:
    """Run one worker ``under`` another program such as valgrind, and a shipper beside it."""
    log, environ = product.folder / "gateway.log", product.environ
    with contextlib.ExitStack() as stack:
        shipping = started(
            [sys.executable, _MANAGE, "shipper"], log=product.folder / "shipper.log", environ=environ
        )
        stack.enter_context(shipping)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        port, descriptor = listener.getsockname()[1], listener.fileno()
        command = [*under, sys.executable, _MANAGE, "web", "--fd", str(descriptor)]
        serving = started(command, log=log, is_measured=True, environ=environ, pass_fds=[descriptor])
        running = stack.enter_context(serving)
        wait_for(running, log, is_ready=lambda: is_answering(port), patience_s=_START_S)
        yield Gateway(port, running.pid)


@dataclass(frozen=True, slots=True)
class Books:
    """What the product has recorded for the customer, and what Valkey still holds."""

    usage_records: int
    cost_nano: int
    holds: int


def books(product: Product) -> Books:
    """Read the books."""
    organization_id = product.customer.organization_id
    with psycopg.connect(product.environ["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT count(*), coalesce(sum(cost_nano), 0) FROM billing_usagerecord WHERE organization_id = %s",
            [organization_id],
        ).fetchone()
    with redis.Redis.from_url(product.environ["REDIS_URL"]) as client:
        holds = len(known_holds(client, organization_id))
    assert row is not None
    return Books(usage_records=int(row[0]), cost_nano=int(row[1]), holds=holds)


def check_books(product: Product, served: int, *, patience_s: float = _QUIESCE_S) -> Books:
    """Wait until all is settled; raises ``WrongMeter`` unless each request has one record at its exact cost."""
    deadline = time.monotonic() + patience_s
    expected = Books(usage_records=served, cost_nano=served * COST_NANO, holds=0)
    while (found := books(product)) != expected:
        if time.monotonic() > deadline:
            message = f"The books say {found}; {served} requests were served, which makes {expected}."
            raise WrongMeter(message)
        time.sleep(0.1)
    return found
