"""Starting child processes that never outlive us, under another account when we are root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class CannotStart(Exception):
    """The local stack cannot start; the message is one line for a person."""


@dataclass(frozen=True)
class Account:
    """The account that runs PostgreSQL, which refuses to run as root."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """Return what makes ``subprocess`` run a child as this account."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_reach(self, folder: Path) -> bool:
        """Tell whether this account may enter an existing folder."""
        found = subprocess.run(["test", "-x", folder], check=False, cwd="/", **self.popen_arguments())
        return found.returncode == 0


def server_account() -> Account:
    """Return ourselves, or ``postgres`` or ``nobody`` when we are root."""
    if os.geteuid() != 0:
        return _account(os.geteuid())
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return _account(pwd.getpwnam(name).pw_uid)
    message = "Root cannot run PostgreSQL and there is no account named postgres or nobody; set DATABASE_URL."
    raise CannotStart(message)


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        message = (
            f"User id {uid} has no account name on this machine, which PostgreSQL needs; set DATABASE_URL."
        )
        raise CannotStart(message) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def spawn(
    arguments: Sequence[str | Path],
    *,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a child in its own session; it gets ``death_signal`` when the calling thread's process dies.

    Call it from the main thread: Linux ties the signal to the thread that forked.
    """
    identity = account.popen_arguments() if account else {}
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_tie_to_parent(death_signal, os.getpid()),  # noqa: PLW1509 - callers run no threads
        **identity,
        **options,
    )


def _tie_to_parent(death_signal: signal.Signals, parent: int) -> Callable[[], None] | None:
    if _libc is None:
        return None
    prctl = _libc.prctl

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            os._exit(1)

    return tie


def stop(process: subprocess.Popen[bytes], *, with_signal: signal.Signals, grace_s: float) -> None:
    """Ask a child to end, wait, and kill its whole session when it did not."""
    if process.poll() is None:
        process.send_signal(with_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
