"""Reading a rendered page: what its content security policy would refuse, and what its people need."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_LOADING = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}
_TYPED = {"text", "email", "password", "number", "search"}


class Page(HTMLParser):
    """Collects a page's faults and its form controls while it is fed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self._labelled: set[str] = set()
        self._controls: set[str] = set()
        self._ids: list[str] = []
        self.feed(html)
        self.faults += [f"control {name} has no label" for name in self._controls - self._labelled]
        self.faults += [f"id {name} stands twice" for name in set(self._ids) if self._ids.count(name) > 1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        given = {name: value or "" for name, value in attrs}
        self._judge(tag, given)
        if "id" in given:
            self._ids.append(given["id"])
        if tag == "label" and "for" in given:
            self._labelled.add(given["for"])
        if tag in {"select", "textarea"} or (tag == "input" and given.get("type") in _TYPED):
            self._controls.add(given.get("id", "without id"))

    def _judge(self, tag: str, given: dict[str, str]) -> None:
        self.faults += [f"{tag} has {name}" for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.faults.append(f"inline {tag}")
        for name, value in given.items():
            # The canonical address names the page itself, and a picture may stand in the page: nothing is loaded.
            is_inside = given.get("rel") == "canonical" or (tag == "img" and value.startswith("data:image/"))
            if (tag, name) in _LOADING and not is_inside and (value.startswith("//") or ":" in value):
                self.faults.append(f"{tag} loads {value}")


def faults(html: str) -> list[str]:
    """Return what is wrong with a page; nothing for a good one."""
    return Page(html).faults


def words(html: str) -> str:
    """Return a page's text without markup, in single spaces; narrow spaces stay as they are."""
    return re.sub(r"[ \n\t]+", " ", re.sub(r"<[^>]+>", " ", html))
