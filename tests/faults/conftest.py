"""The product on servers that fail: a Valkey of its own behind a proxy, and PostgreSQL behind another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

import pytest

from fastanchor.local.folders import FolderLock
from tests.chaos.servers import OwnServer
from tests.faults.load import ask
from tests.faults.proxy import FaultProxy
from tests.live.product import LiveProduct
from tests.live.programs import wait_until
from tests.money.raw import chat_body


@dataclass
class Storm:
    """The running product and what can be done to it."""

    product: LiveProduct
    valkey: OwnServer
    to_valkey: FaultProxy
    to_postgresql: FaultProxy

    def mode(self) -> dict[str, object]:
        """Return which store decides holds."""
        (row,) = self.product.rows("SELECT period, is_degraded, is_open FROM billing_admission")
        return row

    def wait_until_valkey_decides(self) -> None:
        """Wait until Valkey decides."""
        wait_until(lambda: self.mode()["is_degraded"] is False, what="Valkey decides", within_s=30)

    def wait_until_served(self) -> None:
        """Wait until Valkey decides, and wallets are opened in it."""
        self.wait_until_valkey_decides()
        _, key = self.product.new_customer(plan="enterprise", credit_cents=100)
        body = chat_body("Hello [[sandbox tokens=1]]")
        wait_until(
            lambda: all(asyncio.run(ask(url, key, body)).status == 200 for url in self.product.base_urls),
            what="requests are served",
            within_s=30,
        )


@pytest.fixture(scope="session")
def running_storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """Run two gateway processes and the shipper behind the proxies."""
    folder = tmp_path_factory.mktemp("storm")
    folder.chmod(0o711)
    lock = FolderLock(folder)
    valkey = OwnServer("valkey", folder)
    product = LiveProduct(
        folder / "product",
        database_url=os.environ["DATABASE_URL"],
        redis_url=valkey.url,
        own_servers=True,
        environment={"FASTANCHOR_HOLD_REBUILD_GRACE_MS": "1500"},
    )
    try:
        with (
            FaultProxy(f"unix:{_valkey_socket(valkey.url)}") as to_valkey,
            FaultProxy(f"unix:{_postgresql_socket(product.database_url)}") as to_postgresql,
        ):
            product.environment |= {
                "DATABASE_URL": _by_proxy(product.database_url, to_postgresql),
                "REDIS_URL": f"redis://127.0.0.1:{to_valkey.port}/0",
            }
            with product:
                it = Storm(product, valkey, to_valkey, to_postgresql)
                it.wait_until_served()
                yield it
    finally:
        valkey.stop()
        lock.release()


@pytest.fixture
def storm(running_storm: Storm) -> Iterator[Storm]:
    """Return the running product in fair weather."""
    running_storm.wait_until_served()
    yield running_storm
    running_storm.to_valkey.heal()
    running_storm.to_postgresql.heal()


def _valkey_socket(url: str) -> str:
    return urlsplit(url).path


def _postgresql_socket(url: str) -> str:
    return f"{unquote(urlsplit(url).netloc.rpartition('@')[2].partition(':')[0])}/.s.PGSQL.5432"


def _by_proxy(url: str, proxy: FaultProxy) -> str:
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{proxy.port}", query="sslmode=disable"))
