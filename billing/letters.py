"""Which letters our documents can show, and in which font.

Most texts need only a font that every reader has. Other Latin, Greek, Cyrillic, Armenian and Georgian letters come from a
font that is put into the document; those of East Asia from the fonts that readers bring for it. Scripts that run from
right to left, or whose letters join, are not written at all: half right is worse than a name in Latin letters.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

_FILE = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_HANGUL, _KANA = ("\uac00", "\ud7a3"), ("\u3041", "\u30ff")
# What stands for a letter that cannot be shown.
UNKNOWN = "?"


class Font(StrEnum):
    """From where a letter is taken, by ReportLab's name."""

    PLAIN = "Helvetica"
    """What every reader has."""
    WIDE = "DejaVuSans"
    """What is put into the document."""
    HAN = "STSong-Light"
    """Chinese, from the reader."""
    KANA = "HeiseiMin-W3"
    """Japanese, from the reader."""
    HANGUL = "HYSMyeongJo-Medium"
    """Korean, from the reader."""


class Unwritable(ValueError):
    """A text has letters that no document can show: ``letters``, or control characters, which have no shape."""

    def __init__(self, letters: str) -> None:
        super().__init__(letters)
        self.letters = letters


def tidied(text: str) -> str:
    """Return a text composed and with single spaces; raises ``Unwritable``."""
    tidy = _spaced_once(text)
    unknown = dict.fromkeys(letter for letter in tidy if font_of(letter) is None)
    if unknown:
        raise Unwritable("".join(letter for letter in unknown if letter.isprintable()))
    return tidy


def _spaced_once(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    spaced = "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in composed)
    return " ".join(filter(None, spaced.split(" ")))


def font_of(letter: str) -> Font | None:
    """Return the font that has a letter, or nothing."""
    if not letter.isprintable():
        return None
    if _is_in(letter, "cp1252"):
        return Font.PLAIN
    if ord(letter) in _shapes():
        return Font.WIDE
    if _HANGUL[0] <= letter <= _HANGUL[1]:
        return Font.HANGUL
    if _KANA[0] <= letter <= _KANA[1]:
        return Font.KANA
    return Font.HAN if _is_in(letter, "gbk") else None


def fonts_of(text: str) -> list[Font | None]:
    """Return the font of each letter; where one has its neighbours too, a word is not written in two."""
    alone = [font_of(letter) for letter in text]
    used = set(alone)
    return [_beside(letter, font, used) for letter, font in zip(text, alone, strict=True)]


def _beside(letter: str, font: Font | None, used: Collection[Font | None]) -> Font | None:
    if font is Font.PLAIN and Font.WIDE in used and ord(letter) in _shapes():
        return Font.WIDE
    return Font.KANA if font is Font.HAN and Font.KANA in used and _is_in(letter, "cp932") else font


def _is_in(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def registered(font: Font) -> str:
    """Return the name of a font that ReportLab can now use."""
    if font is Font.WIDE:
        _shapes()
    elif font is not Font.PLAIN:
        _register_readers(font)
    return font.value


@functools.cache
def _shapes() -> frozenset[int]:
    font = TTFont(Font.WIDE.value, str(_FILE))
    pdfmetrics.registerFont(font)
    return frozenset(font.face.charToGlyph)


@functools.cache
def _register_readers(font: Font) -> None:
    pdfmetrics.registerFont(UnicodeCIDFont(font.value))
