"""Markdown that people wrote is shown, and nothing else that they may have written into it."""

from __future__ import annotations

import pytest

from fastanchor.lib.markdown import rendered


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*Slow* and `x`", "<p><em>Slow</em> and <code>x</code></p>"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[click](javascript:alert(1))", "[click](javascript:alert(1))"),
    ],
)
def test_markdown_is_shown_and_html_is_not(text: str, html: str) -> None:
    shown = rendered(text)

    assert html in shown
    assert "<script" not in shown
    assert "href" not in shown
