"""Reads the Markdown of ``docs/``: title, sections, HTML and blocks of a page, before its values are filled in."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.token import Token

from fastanchor.manual import blocks
from fastanchor.manual.blocks import Block
from fastanchor.manual.contents import BY_NAME
from fastanchor.manual.tables import TABLES

# What only those who work on the repository need.
_REPOSITORY = re.compile(r"<!-- repository -->.*?<!-- end -->\n?", re.DOTALL)
_TABLE = re.compile(r"^<!-- table: (\S+)(?: (\S+))? -->$", re.MULTILINE)
_NOTE = re.compile(r"<!--.*?-->\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the words below it; the beginning of a page has neither anchor nor heading."""

    anchor: str
    heading: str
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """A page as it is written; ``{{name}}`` stands in its texts for what ``values`` knows."""

    name: str
    title: str
    sections: tuple[Section, ...]
    html: str
    blocks: tuple[Block, ...]

    @property
    def headings(self) -> tuple[Section, ...]:
        """Return the sections that have a place in the table of contents."""
        return tuple(section for section in self.sections if section.level in {2, 3})


@functools.cache
def written(name: str) -> Written:
    """Return one of the pages of ``contents``."""
    path = Path(settings.BASE_DIR, "docs", BY_NAME[name].file)
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(_prepared(path.read_text(encoding="utf-8")))
    title = next(tokens[at + 1].content for at, token in enumerate(tokens) if token.tag == "h1")
    sections, found = _sections(tokens)
    html = markdown.renderer.render(_with_code(tokens, found), markdown.options, {})
    return Written(name, title, sections, _dressed(html), tuple(found.values()))


def _prepared(text: str) -> str:
    text = _TABLE.sub(lambda found: TABLES[found[1]](*filter(None, [found[2]])), text)
    return _NOTE.sub("", _REPOSITORY.sub("", text))


def _sections(tokens: Sequence[Token]) -> tuple[tuple[Section, ...], dict[int, Block]]:
    """Give the headings anchors; return the sections, and the blocks by the place of their token."""
    sections, found = [], {}
    anchor, heading, level, words = "", "", 1, list[str]()
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag != "h1":
            sections.append(Section(anchor, heading, level, " ".join(words)))
            heading, level, words = _plain(tokens[at + 1]), int(token.tag[1]), []
            anchor = slugify(heading)
            token.attrSet("id", anchor)
        elif token.type == "fence":
            found[at] = blocks.read(token.info, token.content, anchor)
            words.append(token.content)
        elif token.type == "inline" and tokens[at - 1].type != "heading_open":
            words.append(_plain(token))
    sections.append(Section(anchor, heading, level, " ".join(words)))
    return tuple(sections), found


def _plain(token: Token) -> str:
    return "".join(
        child.content or " " for child in token.children or () if not child.type.startswith("link")
    )


def _with_code(tokens: Sequence[Token], found: dict[int, Block]) -> list[Token]:
    """Return the tokens with each run of code blocks as the HTML that shows it, and each heading as a link to itself."""
    result, waiting, numbers = list[Token](), list[Block](), iter(range(1, 1_000))
    for at, token in enumerate(tokens):
        if at in found:
            waiting.append(found[at])
            continue
        result += _code(waiting, numbers)
        waiting = []
        if token.type == "heading_close" and token.tag != "h1":
            result.append(_html("</a>"))
        result.append(token)
        if token.type == "heading_open" and token.tag != "h1":
            result.append(_html(format_html('<a class="docs-anchor" href="#{}">', str(token.attrGet("id")))))
    return result + list(_code(waiting, numbers))


def _code(waiting: Sequence[Block], numbers: Iterator[int]) -> Iterator[Token]:
    for group in blocks.grouped(waiting):
        yield _html(blocks.shown(group, next(numbers)))


def _html(text: str) -> Token:
    return Token("html_block", "", 0, content=text)


def _dressed(html: str) -> str:
    """Give tables the classes that the site's style sheet knows, and let wide ones scroll."""
    numbers = iter(range(1, 1_000))
    html = re.sub(
        "<table>",
        lambda _: (
            '<div class="table-scroll card is-flush" tabindex="0" role="region" '
            f'aria-label="Table {next(numbers)}"><table class="table is-dense">'
        ),
        html,
    )
    html = html.replace("</table>", "</table></div>").replace(
        "<blockquote>", '<blockquote class="docs-note">'
    )
    # A corner that names nothing is no header.
    html = re.sub(r"<th[^>]*></th>", "<td></td>", html)
    return re.sub(r"<h1>.*?</h1>\n?", "", html, count=1)


def safe(html: str) -> SafeString:
    """Return HTML that was made from files of the repository, with HTML in them switched off."""
    return mark_safe(html)  # noqa: S308
