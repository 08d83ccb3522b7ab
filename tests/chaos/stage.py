"""The product under the campaign: everything that runs, who can be killed, and how it looks from outside."""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx2
import kombu
import msgspec
import psycopg
import redis
from celery import Celery

from billing.holds import known_holds, known_wallet
from billing.spool import spools
from fastanchor.local.folders import FolderLock
from tests.chaos.calls import Customer
from tests.chaos.faults import Victim
from tests.chaos.invariants import Span
from tests.chaos.matching import Entry, Record
from tests.chaos.money import Known
from tests.chaos.servers import OwnServer
from tests.live.product import LiveProduct
from tests.live.programs import Program

NANOS_PER_CENT = 10_000_000
# Long enough for a shipper that is away for a moment, short enough for rounds of seconds.
GRACE_S = 1.5
_WORKER = (
    "-m celery --quiet -A fastanchor worker --loglevel WARNING --pool prefork --concurrency 1 --without-gossip "
    "--without-mingle"
)
_TASKS = ("billing.tasks.post_usage", "billing.tasks.reannounce_balances")
# When which store began to decide, noted by the database itself: no turn is too short to be seen.
_NOTE_TURNS = """
    CREATE TABLE chaos_turn (at float8, is_open boolean, complete_epoch text);
    CREATE FUNCTION note_turn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO chaos_turn VALUES (extract(epoch FROM clock_timestamp()), NEW.is_open, NEW.complete_epoch);
        RETURN NULL; END $$;
    CREATE TRIGGER note_turn AFTER INSERT OR UPDATE ON billing_admission FOR EACH ROW EXECUTE FUNCTION note_turn();
"""
_RECORDS = """
    SELECT request_id, organization_id, outcome, extract(epoch FROM started_at)::float8 AS started_at, input_tokens,
           output_tokens, cost_nano, hold_nano, is_estimated, upstream_id
    FROM billing_usagerecord ORDER BY request_id
"""


class RestartedProgram:
    """A program that its supervisor would start again."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def kill(self) -> None:
        """End it without warning."""
        self.program.kill()

    def revive(self) -> None:
        """Start it again."""
        self.program.restart()


class Memory:
    """All that a Valkey knows: it goes on running and has forgotten it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.forgotten_at = 0.0

    def kill(self) -> None:
        """Let it forget everything; one that is away just now has forgotten already."""
        with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(self._url) as client:
            client.flushall()
        self.forgotten_at = time.time()

    def revive(self) -> None:
        """Do nothing: remembering is up to the product."""


class Stage:
    """Two gateway processes, shipper and worker, on a PostgreSQL and a Valkey of their own; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._undo:
            self._start()
            self._undo = self._undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _start(self) -> None:
        # PostgreSQL may run under another account, which must be able to pass.
        self._folder.chmod(0o711)
        self._undo.callback(FolderLock(self._folder).release)
        servers = {name: OwnServer(name, self._folder) for name in ("postgresql", "valkey")}
        for server in servers.values():
            self._undo.callback(server.stop)
        self.product = self._undo.enter_context(
            LiveProduct(
                self._folder / "product",
                database_url=servers["postgresql"].url,
                redis_url=servers["valkey"].url,
                own_servers=True,
                environment=_environment(),
            )
        )
        worker = Program(
            _WORKER.split(), log=self._folder / "worker.log", environment=self.product.environment
        )
        self._undo.callback(worker.stop)
        programs = {"shipper": self.product.shipper, "worker": worker}
        programs |= {f"gateway {number}": one for number, one in enumerate(self.product.gateways, 1)}
        self.programs = programs
        with psycopg.connect(self.product.database_url) as connection:
            connection.execute(_NOTE_TURNS)
        self.memory = Memory(servers["valkey"].url)
        self.victims: Mapping[str, Victim] = {
            **servers,
            "memory of valkey": self.memory,
            **{name: RestartedProgram(program) for name, program in programs.items()},
        }
        self._celery = _task_sender(servers["valkey"].url)

    # What the campaign does to it.

    def new_customer(self, *, credit_cents: int, is_poor: bool = False) -> Customer:
        """Return a new customer with room in every limit but the wallet."""
        organization, key = self.product.new_customer(plan="enterprise", credit_cents=credit_cents)
        return Customer(organization, key, credit_cents * NANOS_PER_CENT, is_poor)

    def trigger_tasks(self) -> None:
        """Ask the worker for what ``beat`` would ask it every minute."""
        # Valkey may be away just now; beat would lose its turn likewise.
        with contextlib.suppress(kombu.exceptions.OperationalError):
            for name in _TASKS:
                self._celery.send_task(name, retry=False)

    # What can be seen of it.

    def is_serving(self) -> bool:
        """Tell whether every program runs and every gateway is ready."""
        return all(program.is_running() for program in self.programs.values()) and all(
            _is_ready(url) for url in self.product.base_urls
        )

    def is_decided_by_valkey(self) -> bool:
        """Tell whether PostgreSQL stands in for Valkey no more."""
        (mode,) = self.product.rows("SELECT is_degraded FROM billing_admission")
        return not mode["is_degraded"]

    def is_quiet(self) -> bool:
        """Tell whether no upstream is at work and every spool is acknowledged to its end."""
        is_idle = all(entry.outcome != "running" for entry in self.entries())
        folder = Path(self.product.environment["FASTANCHOR_DATA_DIR"]) / "spool"
        # A spool that the shipper removes just now is looked for again.
        with contextlib.suppress(FileNotFoundError):
            return is_idle and not any(reader.read(1) for reader in spools(folder))
        return False

    def unposted_nano(self) -> int:
        """Return the usage that the worker has not brought to the ledger yet."""
        (row,) = self.product.rows("SELECT coalesce(sum(unposted_nano), 0) AS nano FROM billing_wallet")
        return int(row["nano"])

    def entries(self) -> list[Entry]:
        """Return what the sandboxes were asked since they were reset."""
        listed = [entry for sandbox in self.product.sandboxes for entry in sandbox.log()]
        return msgspec.convert(listed, list[Entry])

    def records(self) -> list[Record]:
        """Return every usage record."""
        return msgspec.convert(self.product.rows(_RECORDS), list[Record])

    def known_spans(self, forgotten_at: float) -> list[Span]:
        """Return when a store decided that knew every hold, although Valkey had forgotten all of them.

        That is PostgreSQL from the moment on in which each process and each shipper had told what it holds, until its
        period ends; and then Valkey, in the epoch that begins with what PostgreSQL knew, if it forgot nothing since.
        """
        turns = self.product.rows("SELECT * FROM chaos_turn ORDER BY at")
        ends = [turn["at"] for turn in turns[1:]] + [math.inf]
        return [
            Span(turn["at"], end)
            # Nothing has turned yet where there is an end and no turn.
            for turn, end in zip(turns, ends, strict=False)
            if turn["is_open"] or (turn["complete_epoch"] and turn["at"] > forgotten_at)
        ]

    def balances(self) -> dict[str, int]:
        """Return the balance of every organization."""
        rows = self.product.rows("SELECT organization_id, balance_nano FROM billing_wallet")
        return {row["organization_id"]: int(row["balance_nano"]) for row in rows}

    def known(self, organization: str) -> Known:
        """Return what Valkey knows of a wallet."""
        wallet = known_wallet(self.product.valkey, organization)
        holds = known_holds(self.product.valkey, organization)
        return Known(wallet.balance_nano, wallet.held_nano, holds) if wallet else Known(None, 0, holds)

    def reset(self) -> None:
        """Let the sandboxes forget what they were asked."""
        for sandbox in self.product.sandboxes:
            sandbox.reset()


def _environment() -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "fastanchor.settings",
        "FASTANCHOR_ENV": "test",
        "FASTANCHOR_SECRET_KEY": secrets.token_hex(32),
        "FASTANCHOR_API_KEY_PEPPERS": f"1:{secrets.token_hex(32)}",
        "FASTANCHOR_CHANNEL_KEYS": f"k1:{secrets.token_hex(32)}",
        "FASTANCHOR_ARCHIVE_KEYS": f"a1:{secrets.token_hex(32)}",
        "FASTANCHOR_EMAIL_URL": "console:",
        "FASTANCHOR_HOLD_REBUILD_GRACE_MS": str(round(GRACE_S * 1000)),
        # Each gateway is one process, and the shipper is the campaign's.
        "WEB_SHIPPER": "0",
        "PYTHONWARNINGS": "ignore:You're running the worker",
    }


def _task_sender(redis_url: str) -> Celery:
    broker = redis_url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    application = Celery("chaos", broker=broker, set_as_current=False)
    application.conf.update(
        task_ignore_result=True,
        broker_transport_options={"socket_timeout": 1, "socket_connect_timeout": 1, "max_retries": 0},
        broker_connection_retry=False,
    )
    return application


def _is_ready(base_url: str) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(f"{base_url.removesuffix('/v1')}/readyz", timeout=5).status_code == 200
    return False
