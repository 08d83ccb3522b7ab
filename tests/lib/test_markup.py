from __future__ import annotations

from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe

from fastanchor.lib.markup import joined


def test_each_row_is_written_into_the_form_and_escaped() -> None:
    written = joined("<li title='{1}'>{0}</li>", [("<b>&", 'it\'s "it"'), (7, None)])

    assert written == "<li title='it&#x27;s &quot;it&quot;'>&lt;b&gt;&amp;</li><li title='None'>7</li>"


def test_what_calls_itself_safe_is_escaped_all_the_same() -> None:
    assert joined("{0}", [(mark_safe("<i>"),)]) == "&lt;i&gt;"


def test_the_result_is_markup() -> None:
    assert conditional_escape(joined("<br>", [()])) == "<br>"
