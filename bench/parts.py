"""The parts around the gateway: fake upstream, load generator, and the reference proxy it is compared with."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import StartFailed, started, wait_for

_NATIVE = Path(__file__).with_name("native")
# Where a load run must have ended: its own time, its grace, and something for a busy machine.
_SPARE_S = 45.0
_START_S = 30.0
MANY = 10**9

_NGINX = """\
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.error.log warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; client_max_body_size 64m; client_body_buffer_size 1m;
  keepalive_requests 100000000; tcp_nodelay on;
  upstream fake {{ server 127.0.0.1:{upstream}; keepalive 2000; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://fake; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Tools:
    """Commands of the fake upstream and the load generator; ``is_native`` when they are compiled."""

    upstream: tuple[str, ...]
    load: tuple[str, ...]
    is_native: bool


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the load generator does to one target."""

    name: str
    connections: int
    seconds: float
    chunks: int = 0
    spacing_us: int = 0
    prompt_bytes: int = 200
    requests: int = MANY
    status: int = 200
    ramp_ms: int = 0


def build(folder: Path) -> Tools:
    """Compile the tools into ``folder``; without gcc return the ones in Python."""
    compiler = shutil.which("gcc")
    if compiler is None:
        python = (sys.executable, "-m")
        return Tools((*python, "bench.upstream"), (*python, "bench.load"), is_native=False)
    for name in ("upstream", "load"):
        subprocess.run([compiler, "-O2", "-o", folder / name, _NATIVE / f"{name}.c"], check=True)
    return Tools((str(folder / "upstream"),), (str(folder / "load"),), is_native=True)


@contextmanager
def upstream(tools: Tools, folder: Path) -> Iterator[int]:
    """Run the fake upstream and yield its port."""
    port_file, log = folder / "upstream.port", folder / "upstream.log"
    with started([*tools.upstream, port_file], log=log) as running:
        yield _written_port(port_file, running, log)


@dataclass(frozen=True, slots=True)
class Reference:
    """The proxy that the gateway is compared with."""

    name: str
    port: int
    pid: int


@contextmanager
def reference(upstream_port: int, folder: Path, *, wants_nginx: bool = True) -> Iterator[Reference]:
    """Run nginx, or the bare proxy where there is none."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    with (
        _nginx(binary, upstream_port, folder)
        if binary and wants_nginx
        else _bare(upstream_port, folder) as found
    ):
        yield found


@contextmanager
def _nginx(binary: str, upstream_port: int, folder: Path) -> Iterator[Reference]:
    port, log = free_port(), folder / "nginx.log"
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, upstream=upstream_port, port=port), encoding="utf-8")
    command = [binary, "-p", str(folder), "-c", str(settings), "-e", str(folder / "nginx.error.log")]
    with started(command, log=log, is_measured=True) as running:
        wait_for(running, log, is_ready=lambda: is_open(port), patience_s=_START_S)
        yield Reference("nginx", port, running.pid)


@contextmanager
def _bare(upstream_port: int, folder: Path) -> Iterator[Reference]:
    port_file, log = folder / "bare.port", folder / "bare.log"
    command = [sys.executable, "-m", "bench.bare_proxy", str(upstream_port), str(port_file)]
    with started(command, log=log, is_measured=True) as running:
        yield Reference("bare proxy", _written_port(port_file, running, log), running.pid)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    """Tell whether a loopback port accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_answering(port: int) -> bool:
    """Tell whether a loopback port answers HTTP, whatever the answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            return probe.recv(16).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


def _written_port(port_file: Path, running: subprocess.Popen[bytes], log: Path) -> int:
    def is_written() -> bool:
        return port_file.exists() and port_file.read_text(encoding="ascii").endswith("\n")

    wait_for(running, log, is_ready=is_written, patience_s=_START_S)
    return int(port_file.read_text(encoding="ascii"))


def request_bytes(scenario: Scenario, key: str) -> bytes:
    """Return the whole HTTP request of a scenario, as an SDK would send it."""
    prompt = f"[chunks={scenario.chunks} spacing_us={scenario.spacing_us}] ".ljust(scenario.prompt_bytes, "x")
    body: dict[str, Any] = {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": prompt}],
        # More than the chunks hold by the estimate of a gateway, which cuts streams beyond it.
        "max_tokens": 1_000,
        "temperature": 0.5,
    }
    if scenario.chunks:
        body["stream"] = True
    encoded = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n"
        f"content-type: application/json\r\nuser-agent: bench\r\nauthorization: Bearer {key}\r\n"
        f"content-length: {len(encoded)}\r\n\r\n"
    )
    return head.encode() + encoded


def apply_load(
    tools: Tools, folder: Path, scenario: Scenario, *, port: int, key: str = "none"
) -> dict[str, Any]:
    """Run one scenario against a port and return the load generator's figures."""
    with loading(tools, folder, scenario, port=port, key=key) as running:
        output, _ = running.communicate(timeout=scenario.seconds + _SPARE_S)
    if running.returncode:
        message = (
            f"The load generator ended with {running.returncode}: {output.decode(errors='replace')[-500:]}"
        )
        raise StartFailed(message)
    figures: dict[str, Any] = json.loads(output)
    return figures


@contextmanager
def loading(
    tools: Tools, folder: Path, scenario: Scenario, *, port: int, key: str = "none"
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the load generator and yield it while it runs; its one line comes on standard output."""
    request = folder / f"{scenario.name}.request"
    request.write_bytes(request_bytes(scenario, key))
    words = [port, request, scenario.connections, scenario.seconds, scenario.requests, scenario.chunks,
             scenario.status, scenario.ramp_ms]  # fmt: skip
    with subprocess.Popen([*tools.load, *map(str, words)], stdout=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()
