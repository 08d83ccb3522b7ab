"""The whole product as real processes: two sandboxes, gateway processes, the shipper, a database that is committed to.

Tests reach it as customers do (HTTP), as operators do (management commands) and as auditors do (SQL).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import httpx2
import psycopg
import redis
from psycopg import sql
from psycopg.rows import dict_row

from billing.holds import known_wallet
from tests.live.programs import ROOT, Program, free_port, wait_until
from tests.live.sandbox import LiveSandbox

# Their models, the product page's eight among them, are served by both sandboxes, each in its provider's own protocol.
PROVIDERS = {
    "openai": "openai_responses",
    "anthropic": "anthropic",
    "google": "gemini",
    "deepseek": "deepseek",
    "alibaba": "qwen",
}
# Every process hears of a change within this time.
CHANGES_ARRIVE_S = 1.0
# Waits that tests can afford.
_SHORT_WAITS = {
    "FASTANCHOR_UPSTREAM_FIRST_TOKEN_S": "3",
    "FASTANCHOR_UPSTREAM_THINKING_S": "3",
    "FASTANCHOR_UPSTREAM_IDLE_S": "3",
    "FASTANCHOR_KEEP_ALIVE_S": "1",
    "FASTANCHOR_UPSTREAM_DRAIN_S": "3",
    "FASTANCHOR_BODY_S": "2",
    "FASTANCHOR_DRAIN_S": "5",
}

_VALKEY_DATABASES = 16
_numbers = itertools.count(1)


class CommandFailed(Exception):
    """A management command refused; the message is what it printed."""


class Desk:
    """Runs management commands in one long-living process."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._numbers = itertools.count()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.desk"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        """Return what a command printed; raises ``CommandFailed``."""
        if self._process.stdin is None or self._process.stdout is None:
            raise CommandFailed
        number = next(self._numbers)
        self._process.stdin.write(json.dumps({"id": number, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = {}
        while answer.get("id") != number:
            line = self._process.stdout.readline()
            if not line:
                raise CommandFailed("the desk has ended")
            # The answer to a command whose caller was stopped is nobody's, and may have lost its beginning.
            with contextlib.suppress(json.JSONDecodeError):
                answer = json.loads(line)
        if "error" in answer:
            raise CommandFailed(answer["error"])
        return str(answer["output"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class LiveProduct:
    """Everything running; use it as a context manager.

    ``database_url`` names a server on which a database of its own is made; ``redis_url`` another number than the
    one given is used, unless ``own_servers`` says that both belong to this product alone.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str,
        redis_url: str,
        gateways: int = 2,
        own_servers: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._admin_url = database_url
        self._database = f"live_{os.getpid()}_{next(_numbers)}"
        self.database_url = _with_path(database_url, self._database)
        self.redis_url = redis_url if own_servers else _beside(redis_url)
        self._gateway_count = gateways
        self._undo = contextlib.ExitStack()
        self._spares: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        self.environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "FASTANCHOR_DATA_DIR": str(folder / "data"),
            "FASTANCHOR_ALLOW_PRIVATE_UPSTREAMS": "1",
            **_SHORT_WAITS,
            **(environment or {}),
        }

    def __enter__(self) -> Self:
        with self._undo:
            self._start()
            self._undo = self._undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    # What customers and operators see.

    @property
    def base_urls(self) -> tuple[str, ...]:
        """Return the ``/v1`` of each gateway process."""
        return tuple(f"http://127.0.0.1:{port}/v1" for port in self._ports)

    @property
    def base_url(self) -> str:
        """Return the ``/v1`` of the first gateway process."""
        return self.base_urls[0]

    def command(self, *arguments: str) -> str:
        """Return what a management command printed; raises ``CommandFailed``."""
        return self._desk.run(*arguments)

    def new_organization(self, *, plan: str = "payg", credit_cents: int = 1000) -> str:
        """Return the id of a new customer."""
        return str(
            self._json(
                "organization_create",
                f"--email=customer{next(_numbers)}@example.com",
                f"--plan={plan}",
                f"--credit-cents={credit_cents}",
            )["id"]
        )

    def new_key(self, organization: str, *options: str) -> str:
        """Return the secret of a new key; ``options`` are those of ``apikey_create``, such as ``--rpm=3``."""
        return str(self._json("apikey_create", f"--organization={organization}", *options)["secret"])

    def new_customer(self, *, plan: str = "payg", credit_cents: int = 1000) -> tuple[str, str]:
        """Return the id of a new customer and the secret of its key."""
        organization = self.new_organization(plan=plan, credit_cents=credit_cents)
        return organization, self.new_key(organization)

    def add_channel(
        self,
        base_url: str,
        *options: str,
        provider: str = "openai",
        adapter: str = "openai",
        api_key: str = "sk-sandbox",
    ) -> str:
        """Return the id of a new channel; ``options`` are those of ``channel_add``, such as ``--priority=5``."""
        what = [f"--provider={provider}", f"--adapter={adapter}", f"--base-url={base_url}"]
        arguments = [*what, f"--api-key={api_key}", *options]
        return str(self._json("channel_add", *arguments)["id"])

    def spare_model(self, *upstreams: str, adapter: str = "openai") -> str:
        """Return a model that these base URLs alone serve, tried in this order, through channels of its own.

        What goes wrong with it stays without consequences for every other test. ``adapter`` is what all of them speak.
        """
        spares = self._spares[adapter, *upstreams]
        if not spares:
            spares += [self._route(model, upstreams, adapter) for model in self._unrouted_models()]
            time.sleep(CHANGES_ARRIVE_S)
        return spares.pop()

    def _unrouted_models(self) -> list[tuple[str, str]]:
        query = """
            SELECT id, provider_id FROM catalog_catalogmodel AS model
            WHERE is_listed AND kind = 'chat' AND NOT EXISTS (SELECT FROM catalog_route WHERE model_id = model.id)
            ORDER BY id LIMIT 8
        """
        return [(row["id"], row["provider_id"]) for row in self.rows(query)]

    def _route(self, model: tuple[str, str], upstreams: tuple[str, ...], adapter: str) -> str:
        name, provider = model
        for priority, base_url in enumerate(upstreams):
            options = (f"--models={name}", f"--priority={priority}")
            self.add_channel(base_url, *options, provider=provider, adapter=adapter)
        return name

    # What auditors see.

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def usage_rows(self, organization: str) -> list[dict[str, Any]]:
        """Return an organization's usage records, oldest first."""
        query = "SELECT * FROM billing_usagerecord WHERE organization_id = %s ORDER BY started_at, request_id"
        return self.rows(query, organization)

    def balance(self, organization: str) -> int:
        """Return the balance in nano-USD as PostgreSQL has it; running holds are still in it."""
        query = "SELECT balance_nano FROM billing_wallet WHERE organization_id = %s"
        return int(self.rows(query, organization)[0]["balance_nano"])

    def wait_settled(self, organization: str, *, rows: int | None = None, within_s: float = 20.0) -> None:
        """Return once nothing of an organization is held, and with ``rows`` once it has that many usage records."""
        wait_until(
            lambda: self._is_settled(organization, rows), what="every hold is settled", within_s=within_s
        )

    def _is_settled(self, organization: str, rows: int | None) -> bool:
        wallet = known_wallet(self.valkey, organization)
        if wallet is not None and (wallet.held_nano or wallet.running):
            return False
        return rows is None or len(self.usage_rows(organization)) >= rows

    def new_log_lines(self) -> str:
        """Return what the gateways and the shipper have logged since this was last called."""
        return "".join(program.new_output() for program in (*self.gateways, self.shipper))

    # Starting.

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._create_database()
        self.valkey = self._undo.enter_context(redis.Redis.from_url(self.redis_url))
        self._undo.callback(self.valkey.flushdb)
        self._desk = Desk(self.environment)
        self._undo.callback(self._desk.close)
        self.command("load_catalog")
        self.sandboxes = tuple(self._sandbox(name) for name in ("east", "west"))
        for (provider, adapter), sandbox in itertools.product(PROVIDERS.items(), self.sandboxes):
            self.add_channel(sandbox.base_url_of(adapter), provider=provider, adapter=adapter)
        self._ports = tuple(free_port() for _ in range(self._gateway_count))
        self.gateways = tuple(self._gateway(port) for port in self._ports)
        self.shipper = self._program("shipper", "shipper")
        wait_until(
            lambda: all(map(self._is_ready, self._ports)),
            what="every gateway is ready",
            within_s=60.0 * len(self._ports),
        )

    def _create_database(self) -> None:
        """Copy a database that the first product of the test run has migrated: a copy costs a hundredth of that."""
        template = template_name(self.environment["FASTANCHOR_SECRET_KEY"])
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [template])
            known = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(known, [template]).fetchone() is None:
                self._create_template(connection, template)
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(copy.format(sql.Identifier(self._database), sql.Identifier(template)))
        self._undo.callback(self._drop_database)

    def _create_template(self, connection: psycopg.Connection[Any], name: str) -> None:
        half_made = sql.Identifier(f"{name}_half")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(half_made))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(half_made))
        desk = Desk(self.environment | {"DATABASE_URL": _with_path(self._admin_url, f"{name}_half")})
        try:
            desk.run("migrate", "--verbosity=0")
        finally:
            desk.close()
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        connection.execute(rename.format(half_made, sql.Identifier(name)))

    def _drop_database(self) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self._database))
            )

    def _sandbox(self, name: str) -> LiveSandbox:
        sandbox = LiveSandbox(self.folder / f"sandbox-{name}.log")
        self._undo.callback(sandbox.stop)
        return sandbox

    def _gateway(self, port: int) -> Program:
        return self._program(f"gateway-{port}", "web", {"PORT": str(port)})

    def _program(self, name: str, command: str, environment: dict[str, str] | None = None) -> Program:
        own = {**self.environment, **(environment or {})}
        program = Program(["manage.py", command], log=self.folder / f"{name}.log", environment=own)
        self._undo.callback(program.stop)
        return program

    def _is_ready(self, port: int) -> bool:
        for program in (*self.gateways, self.shipper):
            if not program.is_running():
                raise RuntimeError(program.output())
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        return False

    def _json(self, *arguments: str) -> dict[str, Any]:
        return dict(json.loads(self.command(*arguments, "--json")))


def template_name(secret_key: str) -> str:
    """Return the name of the database that those of one test run, in all its processes, are copied from."""
    return f"live_template_{hashlib.sha256(secret_key.encode()).hexdigest()[:12]}"


def _with_path(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _beside(url: str) -> str:
    """Return a Valkey URL with another database number than any test worker uses."""
    found = re.search(r"(?:db=|/)(\d+)$", url)
    number = (
        (int(found.group(1)) + _VALKEY_DATABASES // 2) % _VALKEY_DATABASES
        if found
        else _VALKEY_DATABASES // 2
    )
    if url.startswith("unix:"):
        return f"{url.split('?', maxsplit=1)[0]}?db={number}"
    return _with_path(url, str(number))


@contextlib.contextmanager
def live_product(folder: Path, *, gateways: int = 2) -> Iterator[LiveProduct]:
    """Run the product on the servers of the test run."""
    database_url, redis_url = os.environ["DATABASE_URL"], os.environ["REDIS_URL"]
    with LiveProduct(folder, database_url=database_url, redis_url=redis_url, gateways=gateways) as product:
        yield product
