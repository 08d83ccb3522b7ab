"""Finds sections of the documentation by words; the whole of it is in memory and a few hundred sections long."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from fastanchor.manual import reading, values
from fastanchor.manual.blocks import EXAMPLE_ORIGIN
from fastanchor.manual.contents import ENTRIES, Entry
from fastanchor.manual.reading import Section

MOST_LETTERS = 100
MOST_WORDS = 8
MOST_FOUND = 20
_WORD = re.compile(r"[^\W_]+(?:[-_.'][^\W_]+)*")
# How much a word counts, by where it stands.
_IN_TITLE, _IN_HEADING, _IN_TEXT, _WHOLE, _MOST_TIMES = 8, 12, 1, 2, 4
_EXCERPT, _BEFORE = 190, 60


@dataclass(frozen=True, slots=True)
class Found:
    """A section that holds the words: where it is, and an excerpt with the words marked."""

    entry: Entry
    section: Section
    excerpt: SafeString

    @property
    def anchor(self) -> str:
        """Return what stands behind the page's address."""
        return f"#{self.section.anchor}" if self.section.anchor else ""


@dataclass(frozen=True, slots=True)
class _Place:
    entry: Entry
    section: Section
    title: str
    heading: str
    text: str


def words_of(query: str) -> list[str]:
    """Return the words that are searched for, in small letters."""
    return list(dict.fromkeys(_WORD.findall(query[:MOST_LETTERS].lower())))[:MOST_WORDS]


def find(query: str) -> list[Found]:
    """Return the best sections that hold every word, or the beginning of a word, best first."""
    words = words_of(query)
    scored = [(_score(place, words), place) for place in _index()] if words else []
    best = sorted((each for each in scored if each[0]), key=lambda each: -each[0])[:MOST_FOUND]
    return [Found(place.entry, place.section, _excerpt(place.section.text, words)) for _, place in best]


@functools.cache
def _index() -> Sequence[_Place]:
    return tuple(_places())


def _places() -> Iterator[_Place]:
    for entry in ENTRIES:
        page = reading.written(entry.name)
        title = f"{page.title} {entry.label}".lower()
        for section in page.sections:
            about = entry.about if not section.anchor else ""
            text = f"{about} {section.text}".lower()
            yield _Place(entry, section, title, section.heading.lower(), text)


def _score(place: _Place, words: Sequence[str]) -> int:
    """Return how well a section fits; 0 where a word is missing."""
    total = 0
    for word in words:
        # The title alone leads to the beginning of a page, not to each of its sections.
        in_title = _IN_TITLE * _times(place.title, word) if not place.section.anchor else 0
        here = in_title + _IN_HEADING * _times(place.heading, word) + _IN_TEXT * _times(place.text, word)
        if not here:
            return 0
        total += here + (_times(place.title, word) if place.section.anchor else 0)
    return total


def _times(text: str, word: str) -> int:
    """Count a word, twice where it is whole, and not without end."""
    begun = len(re.findall(rf"(?<![^\W_]){re.escape(word)}", text))
    whole = len(re.findall(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text))
    return min(begun, _MOST_TIMES) + (_WHOLE - 1) * min(whole, _MOST_TIMES)


def _excerpt(text: str, words: Sequence[str]) -> SafeString:
    """Return the part of a text where the first of the words stands, with all of them marked."""
    # Values are written as HTML; here they are text like the rest.
    plain = re.sub(r"\s+", " ", unescape(values.fill(text)).replace(EXAMPLE_ORIGIN, "")).strip()
    pattern = re.compile("|".join(rf"(?<![^\W_]){re.escape(word)}" for word in words), re.IGNORECASE)
    first = pattern.search(plain)
    start = max(0, (first.start() if first else 0) - _BEFORE)
    if start:
        start = plain.find(" ", start) + 1
    cut = plain[start : start + _EXCERPT]
    marked, end = escape(""), 0
    for found in pattern.finditer(cut):
        marked += format_html("{}<mark>{}</mark>", cut[end : found.start()], found[0])
        end = found.end()
    before = "… " if start else ""
    after = " …" if start + _EXCERPT < len(plain) else ""
    return format_html("{}{}{}{}", before, marked, cut[end:], after)
