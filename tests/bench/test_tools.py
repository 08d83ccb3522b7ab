"""The fake upstream, the load generator and the reference proxies, over real sockets."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.parts import Scenario, Tools, apply_load, build, reference, request_bytes, upstream

PYTHON = Tools(
    (sys.executable, "-m", "bench.upstream"), (sys.executable, "-m", "bench.load"), is_native=False
)
WHOLE = Scenario("whole", connections=4, seconds=10, requests=40)
STREAM = Scenario("stream", connections=3, seconds=10, requests=6, chunks=10, spacing_us=1_000)


@pytest.fixture(scope="module", params=["native", "python"])
def tools(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tools:
    if request.param == "python":
        return PYTHON
    if shutil.which("gcc") is None:
        assert os.environ.get("CI") != "true", "CI must measure with the native tools: install gcc."
        pytest.skip("gcc is not installed: the tools in Python are used, and tested here")
    return build(tmp_path_factory.mktemp("tools"))


@contextmanager
def answering(answer: Callable[[], bytes]) -> Iterator[int]:
    """Accept one connection after the other, answer its first request, hang up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer())

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def exchange(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        reply = b""
        while not reply.endswith((b"\r\n0\r\n\r\n", b"}")):
            reply += connection.recv(65536)
    return re.sub(rb"@\d{19}@", b"@moment@", reply)


def test_every_whole_answer_is_counted(tools: Tools, tmp_path: Path) -> None:
    with upstream(tools, tmp_path) as port:
        figures = apply_load(tools, tmp_path, WHOLE, port=port)

    assert (figures["good"], figures["bad"], figures["errors"]) == (40, 0, 0)
    assert figures["latency_us"]["count"] == 40
    assert 0 < figures["latency_us"]["p50"] <= figures["latency_us"]["p99"] <= figures["latency_us"]["max"]


def test_every_chunk_of_a_stream_is_counted_and_timed(tools: Tools, tmp_path: Path) -> None:
    with upstream(tools, tmp_path) as port:
        figures = apply_load(tools, tmp_path, STREAM, port=port)

    assert (figures["good"], figures["bad"], figures["errors"]) == (6, 0, 0)
    assert figures["chunk_delay_us"]["count"] == 60
    assert figures["first_chunk_us"]["count"] == 6
    assert figures["latency_us"]["p50"] >= 9 * STREAM.spacing_us


def test_an_answer_with_another_status_is_bad(tools: Tools, tmp_path: Path) -> None:
    refused = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}"

    with answering(lambda: refused) as port:
        figures = apply_load(tools, tmp_path, Scenario("refused", 1, 10, requests=1), port=port)

    assert (figures["good"], figures["bad"], figures["served"]) == (0, 1, 0)


def test_a_stream_with_a_missing_chunk_is_bad(tools: Tools, tmp_path: Path) -> None:
    sent = Scenario("sent", connections=1, seconds=10, requests=1, chunks=9)
    reply = b""
    with (
        upstream(tools, tmp_path) as port,
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
    ):
        connection.sendall(request_bytes(sent, "none"))
        while not reply.endswith(b"\r\n0\r\n\r\n"):
            reply += connection.recv(65536)

    with answering(lambda: reply) as port:
        whole = apply_load(tools, tmp_path, sent, port=port)
        short = apply_load(tools, tmp_path, Scenario("short", 1, 10, requests=1, chunks=10), port=port)

    assert (whole["good"], whole["bad"]) == (1, 0)
    assert (short["good"], short["bad"], short["served"]) == (0, 1, 1)


def test_a_broken_connection_is_an_error(tools: Tools, tmp_path: Path) -> None:
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"

    with answering(lambda: half) as port:
        figures = apply_load(tools, tmp_path, Scenario("half", 1, 10, requests=1), port=port)

    assert (figures["good"], figures["bad"], figures["errors"]) == (0, 0, 1)


def test_a_chunk_that_was_held_back_is_late(tools: Tools, tmp_path: Path) -> None:
    def held_back() -> bytes:
        stamps = (time.monotonic_ns() - age_ms * 1_000_000 for age_ms in (0, 70, 80))
        events = (
            b"".join(b'data: {"content":"@%019d@"}\n\n' % stamp for stamp in stamps) + b"data: [DONE]\n\n"
        )
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events)

    with answering(held_back) as port:
        figures = apply_load(tools, tmp_path, Scenario("late", 1, 10, requests=1, chunks=3), port=port)

    assert (figures["good"], figures["late_chunks"]) == (1, 2)


@pytest.mark.parametrize("asks", [b"", b',"stream_options":{"include_usage":true}'])
@pytest.mark.parametrize("chunks", [0, 3])
def test_both_upstreams_say_the_same(tools: Tools, tmp_path: Path, chunks: int, asks: bytes) -> None:
    plain = request_bytes(Scenario("same", 1, 1, chunks=chunks), "none")
    body = plain.partition(b"\r\n\r\n")[2][:-1] + asks + b"}"
    request = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    python, other = tmp_path / "python", tmp_path / "other"
    python.mkdir()
    other.mkdir()

    with upstream(PYTHON, python) as one, upstream(tools, other) as two:
        replies = exchange(one, request), exchange(two, request)

    assert replies[0] == replies[1]
    assert replies[0].count(b"@moment@") == chunks
    assert (b'"completion_tokens":100' in replies[0]) == (not chunks or bool(asks))


@pytest.mark.parametrize("wants_nginx", [True, False])
def test_a_reference_proxy_passes_everything_on(tools: Tools, tmp_path: Path, wants_nginx: bool) -> None:  # noqa: FBT001
    if wants_nginx and not shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        assert os.environ.get("CI") != "true", "CI must compare with nginx: install it."
        pytest.skip("nginx is not installed: the bench compares with its bare proxy")
    with upstream(tools, tmp_path) as port, reference(port, tmp_path, wants_nginx=wants_nginx) as proxy:
        whole = apply_load(tools, tmp_path, WHOLE, port=proxy.port)
        stream = apply_load(tools, tmp_path, STREAM, port=proxy.port)

    assert (whole["good"], whole["bad"], whole["errors"]) == (40, 0, 0)
    assert (stream["good"], stream["bad"], stream["errors"]) == (6, 0, 0)
