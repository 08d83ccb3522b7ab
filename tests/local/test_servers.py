from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from fastanchor.local.account import CannotStart
from fastanchor.local.servers import Servers, start_servers


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty data folder with a space, and no addresses."""
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    base = Path(tempfile.mkdtemp(prefix="fa servers "))
    base.chmod(0o711)
    yield base
    shutil.rmtree(base)


@pytest.fixture
def servers(folder: Path) -> Iterator[Servers]:
    """Run both servers."""
    running = start_servers(folder, durable=False)
    yield running
    running.stop()


def test_a_second_start_finds_the_rows_and_an_empty_valkey(folder: Path, servers: Servers) -> None:
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE kept (name text)")
    with redis.Redis.from_url(servers.redis_url) as client:
        client.set("lost", "1")
    servers.stop()

    again = start_servers(folder, durable=False)

    try:
        with psycopg.connect(again.database_url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        with redis.Redis.from_url(again.redis_url) as client:
            assert client.dbsize() == 0
    finally:
        again.stop()


def test_no_tcp_port_is_opened_and_strangers_cannot_reach_the_sockets(folder: Path, servers: Servers) -> None:
    with psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    with redis.Redis.from_url(servers.redis_url) as client:
        assert client.config_get("port") == {"port": "0"}
    assert (folder / "run").stat().st_mode & 0o777 == 0o700


def test_a_dead_server_is_named(servers: Servers) -> None:
    assert servers.dead() == ""

    servers.processes[1].process.kill()
    servers.processes[1].process.wait()

    assert servers.dead() == "valkey"


def test_files_of_another_version_are_refused_and_nothing_is_left_running(
    folder: Path, servers: Servers
) -> None:
    servers.stop()
    (folder / "postgres" / "PG_VERSION").write_text("12\n")

    with pytest.raises(CannotStart, match="was made by PostgreSQL 12"):
        start_servers(folder, durable=False)


def test_missing_programs_are_named_with_the_way_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTANCHOR_PG_BIN", str(folder))

    with pytest.raises(CannotStart, match="PostgreSQL was not found"):
        start_servers(folder, durable=False)


def test_given_addresses_are_used_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://elsewhere/one")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere/1")

    servers = start_servers(folder, durable=True)

    assert servers == Servers("postgres://elsewhere/one", "redis://elsewhere/1", ())
