"""Markup of long lists, where a template takes 30 ms for two hundred lines."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from django.utils.safestring import SafeString, mark_safe


def joined(form: str, rows: Iterable[tuple[object, ...]]) -> SafeString:
    """Write each row into ``form``, whose places are numbered, and join them; whatever a row holds is escaped.

    Unlike ``format_html_join`` it takes no markup inside rows, and a fifth of the time.
    """
    lines = [form.format(*[escape(str(value)) for value in row]) for row in rows]
    return mark_safe("".join(lines))  # noqa: S308 - the form is ours, and the rest was escaped
