"""Markdown that people wrote in a form, as HTML that is safe to show: HTML in it is text, and so are links to scripts."""

from __future__ import annotations

import re

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_SIGNS = re.compile(r"([\\`*_{}\[\]()#+\-.!<>|~&])")


def rendered(text: str) -> SafeString:
    """Return Markdown as HTML."""
    # Safe because HTML is switched off, and the parser refuses links to javascript:, vbscript:, file: and data:.
    return mark_safe(str(_MARKDOWN.render(text)))  # noqa: S308


def escaped(words: str) -> str:
    """Return words so that Markdown takes none of their signs for its own."""
    return _SIGNS.sub(r"\\\1", words)
