"""What is promised of style sheets, scripts and templates as files."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOKENS = (ROOT / "static/css/tokens.css").read_text(encoding="utf-8")
GROUNDS = ("page", "surface", "surface-sunken")
# Text on ground: WCAG AA asks for 4.5.
TEXTS = [
    *product(("ink", "ink-soft", "accent"), GROUNDS),
    ("button-ink", "button"),
    ("button-ink", "button-hover"),
    *((tone, f"{tone}-soft") for tone in ("good", "warn", "bad", "accent")),
    ("bad", "surface"),
    ("code-ink", "code-page"),
    ("code-soft", "code-page"),
    ("code-mark", "code-page"),
]
# Edges of controls and bars on ground: 3.
SERIES = [f"series-{name}" for name in (*range(1, 9), "other")]
_DRAWN = (
    "line-strong",
    "chart-requests",
    "chart-tokens",
    "chart-spend",
    "strip-good",
    "strip-warn",
    "strip-bad",
    *SERIES,
)
SHAPES = [*product(_DRAWN, ("surface",))]


def colour(name: str, theme: int) -> str:
    found = re.search(rf"--{name}: (?:light-dark\((#\w+), (#\w+)\)|(#\w+));", TOKENS)
    assert found is not None, name
    return found[3] or found[1 + theme]


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_contrast_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground", "least"), [(*pair, 4.5) for pair in TEXTS] + [(*pair, 3.0) for pair in SHAPES]
)
def test_colours_keep_the_contrast_people_need(ink: str, ground: str, least: float, theme: int) -> None:
    assert contrast(colour(ink, theme), colour(ground, theme)) >= least


def test_colours_stand_in_one_file() -> None:
    others = [path for path in (ROOT / "static/css").glob("*.css") if path.name != "tokens.css"]

    assert len(others) >= 4
    for path in others:
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb\(|hsl\(", path.read_text(encoding="utf-8")), path.name


def test_own_scripts_stay_small_and_ask_no_other_host() -> None:
    scripts = [path.read_text(encoding="utf-8") for path in (ROOT / "static/js").rglob("*.js")]
    lengths = [len(text.splitlines()) for text in scripts]

    assert max(lengths) <= 160
    assert sum(lengths) <= 1_300
    assert not any("://" in text for text in scripts)


def test_templates_are_short_and_hold_no_style_or_handler() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 120, path.name
        assert not re.search(r"\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text), path.name
