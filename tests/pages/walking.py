"""Walking the site by its own links, as a reader does: one page for each address of the URL map."""

from __future__ import annotations

from collections import deque
from urllib.parse import urlsplit

from django.urls import Resolver404, resolve
from playwright.sync_api import Page

# What is no page of ours: staff's and machines' addresses, files, and what a visit would change.
_ELSEWHERE = ("/admin/", "/v1/", "/static/", "/accounts/logout/")
_FILES = (".csv", ".json", ".pdf", ".xml", ".zip", ".gz", ".atom")
# Addresses behind which each page is another text.
_TEXTS = frozenset({"manual", "legal"})
MOST_PAGES = 200


def walk(page: Page) -> dict[str, str]:
    """Follow every link of this site from its home and return a path for each name of an address; texts all."""
    found: dict[str, str] = {}
    waiting = deque(["/"])
    while waiting and len(found) < MOST_PAGES:
        path = waiting.popleft()
        name = name_of(path)
        if name is None or name in found:
            continue
        page.goto(path, wait_until="load")
        found[name] = path
        waiting.extend(_links(page))
    return found


def name_of(path: str) -> str | None:
    """Return by which name a page is known; ``None`` for what is not walked to."""
    path = urlsplit(path).path
    if path.startswith(_ELSEWHERE) or path.endswith(_FILES):
        return None
    try:
        match = resolve(path)
    except Resolver404:
        return None
    name = match.view_name
    return f"{name} {path}" if name in _TEXTS else name


def _links(page: Page) -> list[str]:
    targets = page.eval_on_selector_all("a[href]:not([download])", "links => links.map((link) => link.href)")
    origin = urlsplit(page.url)
    return [
        split.path + (f"?{split.query}" if split.query else "")
        for split in map(urlsplit, targets)
        if split.netloc == origin.netloc
    ]
