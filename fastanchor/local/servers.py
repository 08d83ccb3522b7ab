"""A PostgreSQL and a Valkey of our own: Unix sockets in a private folder, no TCP port, no root-only step."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis

from fastanchor.children import Child, spawn, stop
from fastanchor.local.account import Account, CannotStart, server_account
from fastanchor.local.binaries import postgres_folder, postgres_major, valkey_binary
from fastanchor.local.folders import database_home, private_folder, socket_folder

_START_S = 30.0
_PAUSE_S = 0.02
_ROLE = _DATABASE = "fastanchor"
_LOCALE = "C.UTF-8" if sys.platform == "linux" else "C"
_INITDB = ("-U", _ROLE, "-A", "trust", "-E", "UTF8", f"--locale={_LOCALE}", "--no-instructions")
_POSTGRES = {"listen_addresses": "", "max_connections": "200"}
_WITHOUT_SYNC = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Nothing durable lives in Valkey, and a restart must be seen as empty: no file is ever written.
_VALKEY = {
    "port": "0",
    "unixsocketperm": "700",
    "databases": "64",
    "save": "",
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
    "loglevel": "warning",
}


@dataclass(frozen=True)
class Servers:
    """What runs, and the addresses under which settings find it."""

    database_url: str
    redis_url: str
    processes: tuple[Server, ...]

    def dead(self) -> str:
        """Return the name of a server that ended, or an empty string."""
        return next((server.name for server in self.processes if server.process.poll() is not None), "")

    def stop(self) -> None:
        """End every server cleanly."""
        for server in self.processes:
            server.stop()


@dataclass(frozen=True)
class Server:
    """One running server."""

    name: str
    process: Child
    stop_signal: signal.Signals

    def stop(self) -> None:
        """Ask it to end and wait; killed after ten seconds."""
        stop(self.process, with_signal=self.stop_signal, grace_s=10)


def start_servers(folder: Path, *, durable: bool) -> Servers:
    """Start what ``DATABASE_URL`` and ``REDIS_URL`` do not already name.

    Files live under ``folder``, whose lock the caller holds. ``durable=False`` trades safety of the files for
    speed. Raises ``CannotStart`` with nothing left running.
    """
    database_url, redis_url = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
    with contextlib.ExitStack() as undo:
        started: list[Server] = []
        if not database_url:
            server, database_url = _start_postgres(folder, durable=durable)
            undo.callback(server.stop)
            started.append(server)
            _wait_for_postgres(server, database_url, _log_of(folder, "postgres"))
        if not redis_url:
            server, redis_url = _start_valkey(folder)
            undo.callback(server.stop)
            started.append(server)
            _wait_for_valkey(server, redis_url, _log_of(folder, "valkey"))
        undo.pop_all()
    return Servers(database_url, redis_url, tuple(started))


def _log_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.log"


def _start_postgres(folder: Path, *, durable: bool) -> tuple[Server, str]:
    account = server_account()
    programs = postgres_folder(account)
    cluster = database_home(folder, account) / "postgres"
    sockets = socket_folder(folder, account)
    if cluster.exists():
        _require_same_major(cluster, postgres_major(programs, account))
    else:
        initdb = [programs / "initdb", *_INITDB, *(() if durable else ("--no-sync",))]
        _create_cluster(initdb, cluster, account, _log_of(folder, "initdb"))
    options = _POSTGRES | {"unix_socket_directories": f'"{sockets}"'} | ({} if durable else _WITHOUT_SYNC)
    _wait_for_predecessor(cluster / "postmaster.pid")
    with _log_of(folder, "postgres").open("wb") as log:
        process = spawn(
            [programs / "postgres", "-D", cluster, *(f"--{name}={value}" for name, value in options.items())],
            **account.popen_arguments(),
            death_signal=signal.SIGINT,
            cwd="/",
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"postgres://{_ROLE}@{quote(str(sockets), safe='')}/{_DATABASE}"
    return Server("postgres", process, signal.SIGINT), url


def _wait_for_predecessor(lock: Path) -> None:
    """Let a PostgreSQL whose supervisor was just killed finish its own shutdown."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            process_id = int(lock.read_text(encoding="utf-8").split()[0])
            os.kill(process_id, 0)
        except (OSError, ValueError, IndexError):
            return
        time.sleep(_PAUSE_S)


def _create_cluster(initdb: list[str | Path], cluster: Path, account: Account, log: Path) -> None:
    """Run initdb beside the final name, so an interrupted one is never taken for a database."""
    fresh = cluster.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    private_folder(fresh, account)
    with log.open("wb") as output:
        process = spawn(
            [*initdb, "-D", fresh],
            **account.popen_arguments(),
            cwd="/",
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        if process.wait() != 0:
            message = f"PostgreSQL could not create its files: {_last_line(log)}"
            raise CannotStart(message)
    fresh.rename(cluster)


def _require_same_major(cluster: Path, major: int) -> None:
    made_by = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    if made_by != str(major):
        message = (
            f"{cluster} was made by PostgreSQL {made_by} but version {major} was found; "
            "delete the folder to start empty, or name the old version in FASTANCHOR_PG_BIN."
        )
        raise CannotStart(message)


def _wait_for_postgres(server: Server, url: str, log: Path) -> None:
    maintenance = url.removesuffix(_DATABASE) + "postgres"
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with psycopg.connect(maintenance, autocommit=True, connect_timeout=5) as connection:
                return _ensure_database(connection)
        except psycopg.OperationalError as exc:
            _require_alive(server, log, deadline, exc)
        time.sleep(_PAUSE_S)


def _ensure_database(connection: psycopg.Connection) -> None:
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone()
    if known is None:
        connection.execute(f"CREATE DATABASE {_DATABASE}")


def _start_valkey(folder: Path) -> tuple[Server, str]:
    path = socket_folder(folder, server_account()) / "valkey.sock"
    options = _VALKEY | {"unixsocket": str(path)}
    with _log_of(folder, "valkey").open("wb") as log:
        process = spawn(
            [valkey_binary(), *(part for name, value in options.items() for part in (f"--{name}", value))],
            cwd="/",
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Server("valkey", process, signal.SIGTERM), f"unix://{quote(str(path))}?db=0"


def _wait_for_valkey(server: Server, url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError as exc:
                _require_alive(server, log, deadline, exc)
            else:
                return
            time.sleep(_PAUSE_S)


def _require_alive(server: Server, log: Path, deadline: float, cause: Exception) -> None:
    if server.process.poll() is None and time.monotonic() < deadline:
        return
    message = f"{server.name} did not start: {_last_line(log) or cause}"
    raise CannotStart(message) from cause


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
