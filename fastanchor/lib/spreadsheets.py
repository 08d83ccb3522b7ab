"""Texts as spreadsheets may open them."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """Return a text of which no spreadsheet makes a formula: one that could be gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_FORMULA) else text
