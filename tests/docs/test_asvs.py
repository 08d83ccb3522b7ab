"""The list of the ASVS's ids: each once, with a test that exists or a reason, and as many as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accounts.passwords import LEAST_AROUND, WORDS

ROOT = Path(__file__).resolve().parents[2]
STATES = ("met", "in front", "not applicable", "not met")
# Fewer words than these are no reason.
LEAST_REASON = 2


def text_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    """Return the cells of each id's row."""
    lines = [line for line in text_of("asvs.md").splitlines() if line.startswith("| V")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


ROWS = rows()


def named_in(text: str) -> list[str]:
    return re.findall(r"`((?:\w+/)*test_\w+\.py)`", text)


def test_each_id_is_listed_once_and_there_are_enough() -> None:
    ids = [row[0] for row in ROWS]

    assert len(ids) == len(set(ids)) >= 90
    assert all(re.fullmatch(r"V\d{1,2}\.\d{1,2}\.\d{1,2}", each) for each in ids)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_a_row_says_how_and_names_a_test_or_a_reason(row: list[str]) -> None:
    _, asked, how, shown = row

    assert asked
    assert named_in(shown) or len(shown.split()) >= LEAST_REASON
    assert how in STATES or how.startswith(("met: ", "in front: "))


@pytest.mark.parametrize("name", ["asvs.md", "security.md"])
def test_every_test_and_module_that_is_named_exists(name: str) -> None:
    shown = re.findall(r"^\|.*\|(.*)\|(.*)\|$", text_of(name), re.MULTILINE)
    modules = re.findall(r"`(\w+/[\w/.]+)`", " ".join(how for how, _ in shown))
    tests = [path for _, cell in shown for path in re.findall(r"`([\w/]+\.py)`", cell)]

    assert len(tests) > 15
    assert [path for path in modules if not (ROOT / path).exists()] == []
    assert [path for path in tests if not (ROOT / "tests" / path).exists()] == []


def test_the_words_that_make_no_password_are_all_listed() -> None:
    section = text_of("asvs.md").partition("## Words that do not make a password")[2].partition("##")[0]

    assert f"{LEAST_AROUND} characters" in section
    assert ", ".join(WORDS) in section
