"""Forms of the admin as a browser sends them: every field of the page with what stands in it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class _Fields(HTMLParser):
    """Collects what a page's forms hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Any] = {}
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "select":
            self._select, self._is_many = name, "multiple" in given
        elif tag == "textarea":
            self._area, self.found[name] = name, ""
        elif tag == "option" and self._select and "selected" in given:
            self._put(self._select, given.get("value") or "", is_many=self._is_many)
        elif tag == "input" and name:
            self._input(name, given)

    def _input(self, name: str, given: dict[str, str | None]) -> None:
        kind = given.get("type", "text")
        if kind in {"checkbox", "radio"}:
            if "checked" in given:
                self._put(name, given.get("value") or "on", is_many=True)
        elif kind != "submit":
            self.found[name] = given.get("value") or ""

    def _put(self, name: str, value: str, *, is_many: bool) -> None:
        self.found[name] = [*self.found.get(name, []), value] if is_many else value

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            # Browsers leave out the line end that follows the tag.
            self.found[self._area] += (
                data if self.found[self._area] else data.removeprefix("\r\n").removeprefix("\n")
            )


def filled(page: str) -> dict[str, Any]:
    """Return what a browser would send of a page that nobody has touched."""
    parser = _Fields()
    parser.feed(page)
    return {name: value for name, value in parser.found.items() if "__prefix__" not in name}
