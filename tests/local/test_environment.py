from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fastanchor.local.environment import (
    adopt_environment,
    has_fake_stripe,
    prepare_environment,
    read_environment,
)

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = (
    "FASTANCHOR_",
    "DATABASE_URL",
    "REDIS_URL",
    "PORT",
    "GATEWAY_PORT",
    "WEB_",
    "CELERY_",
    "PYTHONWARNINGS",
    "STRIPE_",
)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Take every name away, as on a developer's machine, and return a data folder."""
    for name in list(os.environ):
        if name.startswith(NAMES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FASTANCHOR_DATA_DIR", str(tmp_path))
    return tmp_path


def _prepare(folder: Path) -> None:
    prepare_environment(folder, database_url="postgres:///one", redis_url="unix:///one?db=0", port=9000)


def test_only_the_owner_may_read_the_environment(bare: Path) -> None:
    _prepare(bare)

    assert stat.S_IMODE((bare / "env.json").stat().st_mode) == 0o600


def test_secrets_are_made_once_and_kept(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _prepare(bare)
    first = read_environment(bare)
    monkeypatch.delenv("FASTANCHOR_SECRET_KEY")
    _prepare(bare)

    assert read_environment(bare) == first
    assert len(first["FASTANCHOR_SECRET_KEY"]) == 64
    assert first["FASTANCHOR_API_KEY_PEPPERS"] != "1:" + first["FASTANCHOR_SECRET_KEY"]


def test_the_stack_brings_a_stripe_of_its_own(bare: Path) -> None:
    _prepare(bare)

    assert os.environ["STRIPE_API_BASE"] == "http://127.0.0.1:9003"
    assert os.environ["STRIPE_SECRET_KEY"].startswith("sk_test_")
    assert os.environ["STRIPE_WEBHOOK_SECRET"].startswith("whsec_")
    assert has_fake_stripe(bare)


@pytest.mark.parametrize("name", ["STRIPE_SECRET_KEY", "STRIPE_SECRET_KEY_FILE"])
def test_a_developers_own_stripe_is_left_alone(
    bare: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _prepare(bare)
    for each in ("STRIPE_API_BASE", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"):
        monkeypatch.delenv(each)
    monkeypatch.setenv(name, "sk_test_of_the_developer")
    _prepare(bare)

    assert not has_fake_stripe(bare)
    assert "STRIPE_API_BASE" not in os.environ
    assert "STRIPE_WEBHOOK_SECRET" not in read_environment(bare)


def test_a_second_terminal_finds_the_running_stack(bare: Path) -> None:
    (bare / "env.json").write_text(json.dumps({"DATABASE_URL": "postgres:///one", "PORT": "9000"}))

    adopt_environment()

    assert os.environ["DATABASE_URL"] == "postgres:///one"
    assert os.environ["PORT"] == "9000"


@pytest.mark.parametrize("name", ["production", "test"])
def test_only_development_adopts_the_stack(bare: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (bare / "env.json").write_text(json.dumps({"DATABASE_URL": "postgres:///one"}))
    monkeypatch.setenv("FASTANCHOR_ENV", name)

    adopt_environment()

    assert "DATABASE_URL" not in os.environ


def test_another_database_is_never_mixed_with_the_stacks_secrets(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "env.json").write_text(
        json.dumps({"DATABASE_URL": "postgres:///one", "FASTANCHOR_SECRET_KEY": "s"})
    )
    monkeypatch.setenv("DATABASE_URL", "postgres:///elsewhere")

    adopt_environment()

    assert "FASTANCHOR_SECRET_KEY" not in os.environ


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strangers_file_is_not_adopted(bare: Path) -> None:
    (bare / "env.json").write_text(json.dumps({"DATABASE_URL": "postgres:///theirs"}))
    os.chown(bare / "env.json", 65534, 65534)

    assert read_environment(bare) == {}


def test_without_any_environment_the_missing_names_are_listed_in_one_line(bare: Path) -> None:
    result = _manage("check")

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "DATABASE_URL" in result.stderr
    assert "FASTANCHOR_SECRET_KEY" in result.stderr


def _manage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["billing_verify", "demo"])
def test_a_command_without_a_running_stack_ends_in_one_line(bare: Path, command: str) -> None:
    prepare_environment(
        bare,
        database_url="postgres://nobody@127.0.0.1:1/none",
        redis_url=f"unix://{bare}/valkey.sock",
        port=9000,
    )

    result = subprocess.run(
        [sys.executable, "manage.py", command], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 1
    assert result.stderr.startswith("fastanchor: ")
    assert result.stderr.count("\n") == 1
