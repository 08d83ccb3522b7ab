"""``./dev up``: the whole product on this machine, one real call through it, and the way in for its developer."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import django
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from fastanchor.local.account import CannotStart
from fastanchor.local.environment import data_folder, has_fake_stripe, prepare_environment
from fastanchor.local.first_call import FirstCallFailed, describe, make_first_call, wait_until_ready
from fastanchor.local.folders import FolderLock
from fastanchor.local.servers import Servers, start_servers
from fastanchor.local.supervisor import ChildEnded, Supervisor

_CHECKOUT = Path(__file__).resolve().parent.parent.parent
_SERVED = ("web", "gateway", "worker", "beat")
# Children get less than the servers they need: those end last.
_GRACE_S = 12.0
_LAST_PORT = 65_532


def up(arguments: list[str]) -> int:
    """Run until Ctrl-C or SIGTERM and return the exit status; with ``--once`` until the first call is accounted for."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    # Under nohup it stays ignored.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        return _up(_port(), once=options.once)
    except CannotStart as exc:
        sys.stderr.write(f"fastanchor: {exc}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="manage.py up", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after the first call, with status 0")
    return parser


def _interrupt(_signal_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _up(port: int, *, once: bool) -> int:
    if os.environ.get("FASTANCHOR_ENV", "development") != "development":
        raise CannotStart("up is for development; unset FASTANCHOR_ENV.")
    folder = data_folder()
    with contextlib.ExitStack() as undo:
        lock = FolderLock(folder)
        undo.callback(lock.release)
        _require_free_ports(port)
        servers = start_servers(folder, durable=True)
        undo.callback(servers.stop)
        prepare_environment(folder, database_url=servers.database_url, redis_url=servers.redis_url, port=port)
        supervisor = Supervisor()
        try:
            demo = _prepare_database(supervisor)
        except (OperationalError, CommandError) as exc:
            message = f"The database cannot be prepared: {' '.join(str(exc).split())}"
            raise CannotStart(message) from exc
        undo.enter_context(_stopped_at_the_end(supervisor))
        _start_children(supervisor, port)
        if has_fake_stripe(folder):
            _start_stripe(supervisor, port, folder)
        return _serve(supervisor, servers, demo, once=once)


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if text.isdecimal() and 0 < int(text) <= _LAST_PORT:
        return int(text)
    message = f"PORT must be a number up to {_LAST_PORT}, not {text!r}."
    raise CannotStart(message)


def _require_free_ports(port: int) -> None:
    """Refuse before anything is started; the children would each fail in their own words."""
    for needed, used_by in (
        (port, "web"),
        (port + 1, "gateway"),
        (port + 2, "sandbox"),
        (port + 3, "stripe"),
    ):
        try:
            socket.create_server(("127.0.0.1", needed)).close()
        except OSError as exc:
            message = f"Port {needed} ({used_by}) cannot be used: {os.strerror(exc.errno or 0)}. Set PORT; it and the next three are taken."
            raise CannotStart(message) from None


def _prepare_database(supervisor: Supervisor) -> dict[str, str]:
    """Do what the Procfile's release line does, in this process to save two starts, and make the demo customer."""
    django.setup()
    supervisor.say("release", "migrate")
    call_command("migrate", interactive=False, verbosity=0)
    for line in _output_of("load_catalog").splitlines():
        supervisor.say("release", line)
    demo: dict[str, str] = json.loads(_output_of("demo", json=True))
    connections.close_all()
    return demo


def _output_of(command: str, **options: bool) -> str:
    output = io.StringIO()
    call_command(command, stdout=output, **options)
    return output.getvalue()


def _start_children(supervisor: Supervisor, port: int) -> None:
    os.environ["PATH"] = os.pathsep.join(
        (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    )
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.chdir(_CHECKOUT)
    supervisor.start("sandbox", [sys.executable, "-m", "fastanchor.local.sandbox", "--port", str(port + 2)])
    for name, line in procfile(_CHECKOUT / "Procfile").items():
        if name in _SERVED:
            supervisor.start(name, ["/bin/sh", "-c", f"exec {line}"])


def _start_stripe(supervisor: Supervisor, port: int, folder: Path) -> None:
    """Start a Stripe that sends its webhooks to ``web`` and is found again with the database that names its customers."""
    # Its secret is in the environment.
    where = ["--port", str(port + 3), "--data", str(folder / "stripe.json")]
    webhooks = ["--webhook-url", f"http://127.0.0.1:{port}/webhooks/stripe/"]
    supervisor.start("stripe", [sys.executable, "-m", "fastanchor.local.fakestripe", *where, *webhooks])


def procfile(path: Path) -> dict[str, str]:
    """Return a Procfile's command lines by name."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): command.strip() for name, _, command in pairs}


@contextlib.contextmanager
def _stopped_at_the_end(supervisor: Supervisor) -> Iterator[None]:
    """Stop the children at the end; a second Ctrl-C kills them."""
    try:
        yield
    finally:
        try:
            supervisor.stop(grace_s=_GRACE_S)
        except KeyboardInterrupt:
            supervisor.kill()


def _serve(supervisor: Supervisor, servers: Servers, demo: dict[str, str], *, once: bool) -> int:
    caller = _Caller(demo)
    caller.start()
    try:
        supervisor.run(until=lambda: bool(servers.dead()) or not caller.is_alive())
        supervisor.show(caller.report)
        if not once:
            supervisor.run(until=lambda: bool(servers.dead()))
    except ChildEnded as exc:
        sys.stderr.write(f"fastanchor: {exc}; stopping the rest.\n")
        return 1
    if servers.dead():
        sys.stderr.write(f"fastanchor: {servers.dead()} ended; stopping the rest.\n")
        return 1
    return 0 if caller.succeeded else 1


class _Caller(threading.Thread):
    """Makes the first call while the main thread passes on the children's lines; starts no child itself."""

    def __init__(self, demo: dict[str, str]) -> None:
        super().__init__(name="first call", daemon=True)
        self._demo = demo
        self.report = ""
        self.succeeded = False

    def run(self) -> None:
        """Wait, call, and leave the report."""
        gateway = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}/readyz"
        try:
            wait_until_ready([self._demo["base_url"].removesuffix("/v1") + "/readyz", gateway])
            self.report = describe(self._demo, make_first_call(self._demo))
            self.succeeded = True
        except FirstCallFailed as exc:
            self.report = f"fastanchor: {exc}\n"
