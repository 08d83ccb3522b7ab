"""Blocks of code: what their marks mean, and how they are shown.

A block says behind its language what it is, and the tests hold it to that:

- ``run``: it is run as it stands. Blocks in a row that are run become tabs, one for each language.
- ``answer``, ``headers``, ``events``: what the last block for curl is answered, in parts. More words name where.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

EXAMPLE_ORIGIN = "http://127.0.0.1:8000"
RUN = "run"
_NAMES = {"sh": "curl", "python": "Python", "js": "JavaScript"}
_SHOWN_AS = {"answer": "Answer", "headers": "Headers of the answer", "events": "Events"}
_OWN_ADDRESS = re.compile(rf"{re.escape(EXAMPLE_ORIGIN)}(?:/v1)?")
_STRING = r'"(?:\\.|[^"\\\n])*"'
_NOTE = {
    "sh": r"(?m:^)#[^\n]*|(?<=\s)# [^\n]*",
    "python": r"#[^\n]*",
    "js": r"(?m:^)\s*//[^\n]*|(?<=\s)// [^\n]*",
}
_WORDS = {
    "python": r"\b(?:import|from|for|in|if|with|as|try|except|print|while|not|or|and|True|False|None)\b",
    "js": r"\b(?:import|from|const|let|for|of|await|new|if|try|catch|true|false|null)\b",
    "json": r"\b(?:true|false|null)\b",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code as it is written; ``section`` is the anchor of the heading it stands under."""

    language: str
    marks: tuple[str, ...]
    text: str
    section: str

    @property
    def is_run(self) -> bool:
        """Tell whether the tests run it."""
        return RUN in self.marks


def read(info: str, text: str, section: str) -> Block:
    """Return the block of a fence."""
    language, *marks = info.split() or [""]
    return Block(language, tuple(marks), text.rstrip("\n"), section)


def grouped(blocks: Sequence[Block]) -> Iterator[tuple[Block, ...]]:
    """Return blocks that follow each other as they are shown: tabs together, all others alone."""
    for is_run, group in itertools.groupby(blocks, key=lambda block: block.is_run):
        if is_run:
            yield from _tabs_of(list(group))
        else:
            yield from ((block,) for block in group)


def _tabs_of(blocks: list[Block]) -> Iterator[tuple[Block, ...]]:
    # A language that comes again begins the next example.
    found: list[Block] = []
    for block in blocks:
        if any(block.language == other.language for other in found):
            yield tuple(found)
            found = []
        found.append(block)
    yield tuple(found)


def shown(group: tuple[Block, ...], number: int) -> SafeString:
    """Return the HTML of a group; ``number`` is its place on the page."""
    if len(group) == 1:
        return _code(group[0], f"code-{number}")
    choices = format_html_join(
        "",
        '<label class="tabs-choice"><input type="radio" name="tabs-{}" value="{}"{}>'
        '<span class="tabs-name">{}</span></label>',
        (
            (number, _tab(block), "" if at else " checked", _NAMES[block.language])
            for at, block in enumerate(group)
        ),
    )
    panels = format_html_join(
        "",
        '<div class="tabs-panel" data-language="{}">{}</div>',
        ((_tab(block), _code(block, f"code-{number}-{_tab(block)}")) for block in group),
    )
    return format_html(
        '<fieldset class="tabs"><legend class="is-hidden-visually">Language of example {}</legend>'
        '<div class="tabs-list">{}</div>{}</fieldset>\n',
        number,
        choices,
        panels,
    )


def _tab(block: Block) -> str:
    return _NAMES[block.language].lower()


def _code(block: Block, name: str) -> SafeString:
    kind = next((_SHOWN_AS[mark] for mark in block.marks if mark in _SHOWN_AS), "")
    title = format_html('<p class="code-name">{}</p>', kind) if kind else ""
    return format_html(
        '<div class="code">{}<button class="copy" type="button" data-copy="{}" hidden>Copy</button>'
        '<pre class="code-text" tabindex="0" role="region" aria-label="{} {}"><code id="{}">{}</code></pre></div>\n',
        title,
        name,
        kind or "Example",
        name.removeprefix("code-").replace("-", ", "),
        name,
        _coloured(block),
    )


def _coloured(block: Block) -> SafeString:
    """Return the text with strings, notes and the words of the language told apart, and our address marked."""
    language = block.language
    parts = [rf"(?P<note>{_NOTE[language]})"] if language in _NOTE else []
    parts += [rf"(?P<string>{_STRING})"]
    parts += [rf"(?P<word>{_WORDS[language]})"] if language in _WORDS else []
    html, end = [], 0
    for found in re.finditer("|".join(parts), block.text):
        html.append(escape(block.text[end : found.start()]))
        html.append(format_html('<span class="code-{}">{}</span>', found.lastgroup or "", found[0]))
        end = found.end()
    html.append(escape(block.text[end:]))
    # Escaped above; what is put in is our own.
    return mark_safe(_OWN_ADDRESS.sub(r"<mark>\g<0></mark>", "".join(html)))  # noqa: S308
