from __future__ import annotations

import pytest

from tests.pages.markup import faults


@pytest.mark.parametrize(
    "html",
    [
        '<p style="color:red">',
        '<a onclick="x()">',
        "<script>x()</script>",
        "<style>p {}</style>",
        '<script src="https://cdn.example/x.js"></script>',
        '<link href="//cdn.example/x.css">',
        '<input type="text" id="name">',
        '<p id="a"></p><p id="a"></p>',
    ],
)
def test_each_fault_is_found(html: str) -> None:
    assert len(faults(html)) == 1


def test_a_plain_page_has_none() -> None:
    assert (
        faults('<script src="/static/x.js"></script><label for="a">A</label><input type="text" id="a">') == []
    )
