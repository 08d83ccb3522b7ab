"""The list of what is checked of money names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "money-checks.md"


def test_every_test_that_the_list_names_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    files = set(re.findall(r"`(?:[^`]*\btests/)?([\w/]+\.py)\b[^`]*`", page))
    sources = {name: (TESTS / name).read_text(encoding="utf-8") for name in files}

    names = set(re.findall(r"`(test_\w+)`", page))

    assert len(files) > 10
    assert names
    assert [name for name in names if not any(f"def {name}(" in text for text in sources.values())] == []
