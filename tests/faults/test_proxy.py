"""The proxy does what it is told, or every proof that stands behind it is worth nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import FaultProxy, Faults


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """Return a proxy in front of a server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_echo, args=(listener,), daemon=True).start()
        with FaultProxy(f"127.0.0.1:{listener.getsockname()[1]}") as it:
            yield it


def _echo(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_say_back, args=(connection,), daemon=True).start()


def _say_back(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(65_536):
                connection.sendall(data)
        except OSError:
            return


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        yield connection


def _said_back(client: socket.socket, data: bytes = b"hello") -> float:
    began = time.monotonic()
    client.sendall(data)
    left = len(data)
    while left and (piece := client.recv(left)):
        left -= len(piece)
    assert not left
    return time.monotonic() - began


def test_by_itself_it_passes_everything_on(proxy: FaultProxy, client: socket.socket) -> None:
    _said_back(client, b"x" * 1_000_000)

    assert proxy.connections == 1
    assert proxy.pieces > 1


def test_latency_is_added_in_each_direction(proxy: FaultProxy, client: socket.socket) -> None:
    _said_back(client)
    proxy.faults = Faults(latency_s=0.2)

    assert _said_back(client) >= 0.4


def test_a_rate_slows_down_what_is_large(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.faults = Faults(rate=100_000)

    assert _said_back(client, b"x" * 20_000) >= 0.4


def test_a_stall_loses_nothing(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.faults = Faults(is_stalled=True)
    client.settimeout(0.3)
    client.sendall(b"hello")
    with pytest.raises(TimeoutError):
        client.recv(5)

    proxy.heal()

    client.settimeout(5)
    assert client.recv(5) == b"hello"


def test_a_black_hole_swallows(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.faults = Faults(is_blackhole=True)
    client.sendall(b"lost")
    time.sleep(0.2)

    proxy.heal()

    client.sendall(b"found")
    assert client.recv(20) == b"found"


def test_down_breaks_what_is_open_and_refuses_what_comes(proxy: FaultProxy, client: socket.socket) -> None:
    _said_back(client)

    proxy.down()

    assert client.recv(1) == b""
    assert _is_refused(proxy.port)


def _is_refused(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as refused:
            refused.sendall(b"hello")
            return not refused.recv(1)
    except ConnectionError:
        return True


def test_a_reset_is_none_of_a_clean_end(proxy: FaultProxy, client: socket.socket) -> None:
    _said_back(client)

    proxy.reset()

    with pytest.raises(ConnectionResetError):
        client.recv(1)
