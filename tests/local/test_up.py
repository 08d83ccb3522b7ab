"""``manage.py up`` as a newcomer meets it: real servers, real processes, one real call."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from fastanchor.local.up import procfile
from tests.live.programs import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ("FASTANCHOR_", "DJANGO_", "DATABASE_URL", "REDIS_URL", "PORT", "GATEWAY_PORT", "STRIPE_")


def _free_ports() -> int:
    """Return the first of four free ports in a row."""
    for port in range(20_000 + os.getpid() % 10_000, 40_000, 4):
        taken = [socket.socket() for _ in range(4)]
        try:
            for offset, each in enumerate(taken):
                each.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        else:
            return port
        finally:
            for each in taken:
                each.close()
    pytest.fail("no free ports")


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Return a newcomer's environment, its data folder where PostgreSQL's account may enter."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    with tempfile.TemporaryDirectory(prefix="fa up ") as folder:
        Path(folder).chmod(0o711)
        yield {**bare, "FASTANCHOR_DATA_DIR": f"{folder}/data", "PORT": str(_free_ports())}


@pytest.fixture
def running(environment: dict[str, str], tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start the stack and wait for its greeting."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: "Call it yourself" in log.read_text(), what="the greeting", within_s=50)
        yield process, log
    finally:
        process.kill()
        process.wait()


def _manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _processes_of(folder: Path) -> list[str]:
    """Return the command lines of processes whose environment names the data folder."""
    mark = f"FASTANCHOR_DATA_DIR={folder}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for orphans in /proc")
def test_one_command_serves_a_call_and_leaves_nothing_behind(
    running: tuple[subprocess.Popen[bytes], Path], environment: dict[str, str]
) -> None:
    process, log = running
    demo = json.loads(_manage(environment, "demo", "--json").stdout)
    second = _manage(environment, "up", "--once")
    elsewhere = _manage({**environment, "FASTANCHOR_DATA_DIR": str(log.parent / "other")}, "up", "--once")
    with httpx2.stream(
        "POST",
        f"{demo['base_url']}/chat/completions",
        headers={"Authorization": f"Bearer {demo['api_key']}"},
        json={"model": demo["model"], "messages": [{"role": "user", "content": "Hi"}], "stream": True},
    ) as response:
        streamed = response.read()
    stripe = httpx2.get(f"http://127.0.0.1:{int(environment['PORT']) + 3}/healthz")

    assert response.status_code == 200
    assert streamed.endswith(b"data: [DONE]\n\n")
    assert stripe.status_code == 200
    assert " input + " in log.read_text()
    assert f"127.0.0.1:{environment['PORT']}/dashboard/" in log.read_text()
    assert (second.returncode, elsewhere.returncode) == (1, 1)
    assert "Another local stack is using" in second.stderr
    assert f"Port {environment['PORT']} (web) cannot be used" in elsewhere.stderr
    assert second.stderr.count("\n") == elsewhere.stderr.count("\n") == 1

    process.send_signal(signal.SIGKILL)
    process.wait()

    folder = Path(environment["FASTANCHOR_DATA_DIR"])
    wait_until(lambda: _processes_of(folder) == [], what="no orphan is left", within_s=5)

    again = _manage(environment, "up", "--once")

    assert again.returncode == 0, again.stdout[-2000:] + again.stderr
    assert demo["api_key"] in again.stdout
    assert _processes_of(folder) == []


@pytest.mark.timeout(90)
def test_ctrl_c_stops_everything_cleanly(
    running: tuple[subprocess.Popen[bytes], Path], environment: dict[str, str]
) -> None:
    process, log = running

    process.send_signal(signal.SIGINT)

    assert process.wait(20) == 0
    assert "Traceback" not in log.read_text()
    assert _processes_of(Path(environment["FASTANCHOR_DATA_DIR"])) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"PORT": "web"}, "PORT must be a number up to 65532, not 'web'."),
        ({"FASTANCHOR_ENV": "production"}, "up is for development; unset FASTANCHOR_ENV."),
        ({"FASTANCHOR_DATA_DIR": "/proc/nowhere"}, "The data folder /proc/nowhere cannot be written"),
        ({"FASTANCHOR_PG_BIN": "/nowhere"}, "PostgreSQL was not found"),
        ({"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}, "The database cannot be prepared"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(
    environment: dict[str, str], changes: dict[str, str], told: str
) -> None:
    result = _manage({**environment, **changes}, "up")

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert told in result.stderr


def test_the_procfile_names_every_process() -> None:
    lines = procfile(ROOT / "Procfile")

    assert list(lines) == ["release", "web", "gateway", "worker", "beat"]
    assert all(line.split()[0] in {"python", "celery"} for line in lines.values())
