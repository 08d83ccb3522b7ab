from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastanchor.local import folders
from fastanchor.local.account import CannotStart, server_account
from fastanchor.local.folders import FolderLock, database_home, socket_folder

ROOT = Path(__file__).resolve().parent.parent.parent
HOLDER = """
import sys, time
from pathlib import Path
from fastanchor.local.folders import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return what stands in for /var/tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setattr(folders, "_SHARED", folder)
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o711)
    return folder


def test_a_folder_has_one_holder_and_is_free_when_that_one_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()

    with pytest.raises(CannotStart, match="Another local stack is using"):
        FolderLock(tmp_path)
    holder.kill()
    holder.communicate()

    FolderLock(tmp_path).release()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(CannotStart, match="cannot be written"):
        FolderLock(tmp_path / "data")


def test_sockets_stay_beside_short_paths(shared: Path) -> None:
    folder = shared.parent / "data"
    folder.mkdir(mode=0o711)

    assert socket_folder(folder, server_account()) == folder / "run"


def test_sockets_of_a_long_path_move_to_a_short_one_and_are_found_again(shared: Path) -> None:
    folder = shared / ("long" * 25)
    folder.mkdir(mode=0o711)

    first = socket_folder(folder, server_account())

    assert first.parent.parent == shared
    assert first.stat().st_mode & 0o777 == 0o700
    assert socket_folder(folder, server_account()) == first


@pytest.mark.skipif(os.geteuid() != 0, reason="others run PostgreSQL themselves")
def test_files_of_a_closed_folder_move_where_postgresql_may_go(shared: Path) -> None:
    folder = shared / "closed" / "data"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)

    home = database_home(folder, server_account())

    assert home.parent == shared
    assert folder.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_strangers_folder_of_our_name_is_refused(shared: Path) -> None:
    folder = shared / ("long" * 25)
    folder.mkdir(mode=0o711)
    theirs = socket_folder(folder, server_account()).parent
    os.chown(theirs, 65534, 65534)

    with pytest.raises(CannotStart, match="belongs to another user"):
        socket_folder(folder, server_account())
