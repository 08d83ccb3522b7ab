"""The account that runs PostgreSQL, which refuses to run as root."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class CannotStart(Exception):
    """The local stack cannot start; the message is one line for a person."""


@dataclass(frozen=True)
class Account:
    """A user of this machine."""

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
