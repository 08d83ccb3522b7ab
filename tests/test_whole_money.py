"""Money is counted in whole numbers: on its paths there is no float, no Decimal, and no division that makes one.

What reads prices as others write them (``catalog.offers``, ``catalog.importing``, ``catalog.forms``) uses exact decimals
and refuses what is no whole number of micro-USD; from there on everything is an integer.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PATHS = (
    "billing/**/*.py",
    *(f"catalog/{name}.py" for name in ("models", "prices", "pricing", "publish", "snapshot", "tiers")),
    *(f"catalog/price_{name}.py" for name in ("decisions", "diff", "sync")),
    "fastanchor/staff/price_*.py",
    "fastanchor/staff/drift*.py",
    *(f"gateway/stages/{name}.py" for name in ("reserve", "relay", "settle")),
    *(
        f"gateway/{name}.py"
        for name in ("books", "metering", "money_api", "money_shown", "receipts", "told_cost")
    ),
    "gateway/upstreams/bounds.py",
    "fastanchor/books.py",
    "fastanchor/lib/money.py",
)
# Sizes of type on paper.
NO_MONEY = {"billing/paper.py"}
# Seconds may have fractions, and folders are joined with a division sign.
HARMLESS = re.compile(
    r"(_s|_S|_ms|_at|_AT|_TIMEOUT)\b|\b(now|at|clock|deadline|seconds|unix_seconds|milliseconds|type=float)\b|folder|hidden|\broot\b|LUA\b"
)
MONEY = re.compile(r"nano|pico|cents|usd|cost|amount|balance|rates?\b|tokens|credit", re.IGNORECASE)


def inexact(source: str) -> Iterator[str]:
    """Yield each line in which something is, or becomes, no whole number."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if _is_inexact(node):
            line = lines[node.lineno - 1].strip()  # type: ignore[attr-defined]
            if MONEY.search(line) or not HARMLESS.search(line):
                yield f"{node.lineno}: {line}"  # type: ignore[attr-defined]


def _is_inexact(node: ast.AST) -> bool:
    match node:
        case ast.BinOp(op=ast.Div(), right=ast.Constant(value=str()) | ast.JoinedStr()):
            return False
        case ast.Constant(value=float()) | ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in {"float", "Decimal", "Fraction", "FloatField", "DecimalField", "fsum"}
        case ast.ImportFrom(module="decimal" | "fractions" | "math"):
            return True
        case ast.Import(names=names):
            return any(each.name in {"decimal", "fractions", "math", "numpy"} for each in names)
        case _:
            return False


def test_no_path_of_money_leaves_whole_numbers() -> None:
    files = {file for pattern in PATHS for file in ROOT.glob(pattern)}
    found = {
        f"{file.relative_to(ROOT)}:{line}"
        for file in files
        if str(file.relative_to(ROOT)) not in NO_MONEY
        for line in inexact(file.read_text(encoding="utf-8"))
    }

    assert len(files) > 80
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        "cost_nano = picos / 1000",
        "amount = cents * 1e7",
        "amount /= 100",
        "balance: float = 0",
        "left = float(row.left)",
        "from decimal import Decimal",
        "import math",
        "charged = Decimal(text)",
        "price_at = rate * 0.1",
        "total = models.DecimalField(max_digits=9)",
        "fee = round(0.029 * paid)",
    ],
)
def test_what_is_not_whole_would_be_found(line: str) -> None:
    assert len(list(inexact(line))) >= 1


@pytest.mark.parametrize(
    "line", ["WAIT_S = 0.5", "age_s = (now_ms - created_ms) / 1000", "log = folder / name"]
)
def test_time_and_folders_are_no_money(line: str) -> None:
    assert list(inexact(line)) == []
