"""The pages of docs/ that customers read, as HTML with their own base URL in place of the example's."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt

# In the order of the menu.
PAGES = {"clients": "Clients", "formats": "Formats"}
_EXAMPLE = "http://127.0.0.1:8000"
# What only those who work on the repository need.
_REPOSITORY = re.compile(r"<!-- repository -->.*?<!-- end -->\n?|<!--.*?-->\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Heading:
    """A section of a page, for its table of contents."""

    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its title, its sections, and its HTML."""

    title: str
    headings: tuple[Heading, ...]
    html: SafeString


def page(name: str, *, origin: str) -> Page:
    """Return one of ``PAGES`` with ``origin``, such as ``https://fastanchor.example``, in place of the example's."""
    written = _written(name)
    return Page(written.title, written.headings, _safe(written.html.replace(_EXAMPLE, escape(origin))))


@functools.cache
def _written(name: str) -> Page:
    text = Path(settings.BASE_DIR, "docs", f"{name}.md").read_text(encoding="utf-8")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(_REPOSITORY.sub("", text))
    title, headings = "", []
    for place, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        words = tokens[place + 1].content
        if token.tag == "h1":
            title = words
        elif token.tag == "h2":
            headings.append(Heading(slugify(words), words))
            token.attrSet("id", slugify(words))
    return Page(
        title, tuple(headings), _safe(_dressed(markdown.renderer.render(tokens, markdown.options, {})))
    )


def _dressed(html: str) -> str:
    """Give code and tables the classes that the site's style sheet knows, and let wide ones scroll."""
    html = html.replace(
        "<table>",
        '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table class="table is-dense">',
    )
    html = html.replace("</table>", "</table></div>")
    html = re.sub(
        r"<pre>(.*?)</pre>",
        r'<div class="code"><pre class="code-text" tabindex="0" role="region" aria-label="Code">\1</pre></div>',
        html,
        flags=re.DOTALL,
    )
    return re.sub(r"<h1>.*?</h1>\n?", "", html, count=1)


def _safe(html: str) -> SafeString:
    # Made from files of the repository, with HTML in them switched off.
    return mark_safe(html)  # noqa: S308
