"""The folder of a local stack: who holds it, where its sockets and databases may live."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from pathlib import Path

from fastanchor.local.account import Account, CannotStart

# A Unix socket's path has 108 bytes with its end mark; PostgreSQL's is the longer of the two names.
_LONGEST_SOCKET_PATH = 107
_LONGEST_SOCKET_NAME = ".s.PGSQL.5432"
_SHARED = Path("/var/tmp")  # noqa: S108 - the folders below it are ours, checked by owner before use


class FolderLock:
    """Holds a folder for this process until it ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock or raise ``CannotStart``; creates the folder."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / "lock").open("a")
        except OSError as exc:
            message = f"The data folder {folder} cannot be written: {exc.strerror}. Set FASTANCHOR_DATA_DIR."
            raise CannotStart(message) from exc
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            message = f"Another local stack is using {folder}; stop it or set FASTANCHOR_DATA_DIR to another folder."
            raise CannotStart(message) from None

    def release(self) -> None:
        """Let the next one in."""
        self._file.close()


def database_home(folder: Path, account: Account) -> Path:
    """Return ``folder``, or one in /var/tmp when ``account`` cannot enter it."""
    return folder if account.can_reach(folder) else _outside(folder)


def socket_folder(folder: Path, account: Account) -> Path:
    """Return a 0700 folder of ``account`` whose path is short enough for sockets."""
    home = database_home(folder, account)
    if len(os.fsencode(home / "run" / _LONGEST_SOCKET_NAME)) > _LONGEST_SOCKET_PATH:
        home = _outside(folder)
    return private_folder(home / "run", account)


def private_folder(folder: Path, account: Account) -> Path:
    """Create a folder only ``account`` may enter."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if account.popen_arguments():
        shutil.chown(folder, account.uid, account.gid)
    return folder


def _outside(folder: Path) -> Path:
    """Return this folder's own place in /var/tmp, found again by a random id and not by a path."""
    outside = _SHARED / f"fastanchor-{os.geteuid()}-{_identity(folder)}"
    outside.mkdir(mode=0o711, exist_ok=True)
    if outside.lstat().st_uid != os.geteuid():
        message = f"{outside} belongs to another user; remove {folder / 'id'} to get a new name."
        raise CannotStart(message)
    return outside


def _identity(folder: Path) -> str:
    path = folder / "id"
    if not path.exists():
        path.write_text(secrets.token_hex(8), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
