"""Finding and starting a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.clients.environments import give_up

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_browser() -> str | None:
    """Return the path of a Chromium: ``FASTANCHOR_BROWSER`` or the first one installed; ``None`` without any."""
    named = os.environ.get("FASTANCHOR_BROWSER")
    return named or next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


def needed_browser() -> str:
    """Return the path of a Chromium; without one the test is skipped, but never in CI."""
    path = find_browser()
    if path is None:
        give_up("No browser found: name one in FASTANCHOR_BROWSER to test the pages in it.")
    return path


@contextmanager
def open_browser(path: str) -> Iterator[Browser]:
    """Run the browser at ``path``, and close it at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
