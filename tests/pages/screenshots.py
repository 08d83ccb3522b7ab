"""Photographs every page at two widths and in two themes: ``python -m tests.pages.screenshots BASE_URL OUT``.

Pages are found by following links, so a page that nothing leads to is not photographed. It signs in with
``FASTANCHOR_SCREENSHOT_LOGIN`` (``email:password``) where that is set, and then walks on as that person.
"""

from __future__ import annotations

import os
import re
import sys
from itertools import product
from pathlib import Path
from typing import Literal

import django
from playwright.sync_api import Browser, Page

from tests.pages.browser import find_browser, open_browser

WIDTHS = (390, 1440)
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, Theme] = ("light", "dark")
# What no link leads to.
MORE = {"verification-sent": "/accounts/confirm-email/", "not-found": "/nothing-here/"}


def photograph(browser: Browser, base_url: str, folder: Path, login: str) -> int:
    """Write one PNG per page, width and theme into ``folder`` and return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {**_found(browser, base_url, ""), **MORE}
    own = _found(browser, base_url, login) if login else {}
    for width, theme in product(WIDTHS, THEMES):
        context = browser.new_context(
            base_url=base_url, color_scheme=theme, viewport={"width": width, "height": 900}
        )
        page = context.new_page()
        _shoot(page, paths, folder, f"{width}-{theme}")
        if login:
            log_in(page, login)
            # Public pages again: they know the reader now.
            _shoot(page, {f"own-{name}": path for name, path in own.items()}, folder, f"{width}-{theme}")
        context.close()
    return len(list(folder.glob("*.png")))


def _found(browser: Browser, base_url: str, login: str) -> dict[str, str]:
    # The walk asks the URL map for names; its import needs settings.
    from tests.pages.walking import walk  # noqa: PLC0415

    context = browser.new_context(base_url=base_url)
    page = context.new_page()
    if login:
        log_in(page, login)
    found = walk(page)
    context.close()
    return {re.sub(r"[^a-z0-9]+", "-", name).strip("-"): path for name, path in found.items()}


def _shoot(page: Page, paths: dict[str, str], folder: Path, suffix: str) -> None:
    for name, path in paths.items():
        page.goto(path, wait_until="load")
        page.screenshot(path=folder / f"{name}-{suffix}.png", full_page=True)


def log_in(page: Page, login: str) -> None:
    email, _, password = login.partition(":")
    page.goto("/accounts/login/")
    page.fill("[name=login]", email)
    page.fill("[name=password]", password)
    page.click("main button")
    page.wait_for_url("**/dashboard/")


def main(base_url: str, folder: str) -> None:
    """Photograph the product at ``base_url``."""
    path = find_browser()
    if path is None:
        sys.exit("No browser found: name one in FASTANCHOR_BROWSER.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fastanchor.typecheck")
    django.setup()
    with open_browser(path) as browser:
        count = photograph(browser, base_url, Path(folder), os.environ.get("FASTANCHOR_SCREENSHOT_LOGIN", ""))
    print(f"{count} pictures in {folder}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:3])
