"""Photographs every page at two widths and in two themes: ``python -m tests.pages.screenshots BASE_URL OUT``.

It signs in with ``FASTANCHOR_SCREENSHOT_LOGIN`` (``email:password``) where that is set.
"""

from __future__ import annotations

import os
import sys
from itertools import product
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from tests.pages.browser import find_browser, open_browser

WIDTHS = (390, 1440)
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, Theme] = ("light", "dark")
PUBLIC = {
    "home": "/",
    "pricing": "/pricing/",
    "quickstart": "/quickstart/",
    "clients": "/docs/clients/",
    "formats": "/docs/formats/",
    "login": "/accounts/login/",
    "signup": "/accounts/signup/",
    "password-reset": "/accounts/password/reset/",
    "verification-sent": "/accounts/confirm-email/",
    "not-found": "/nothing-here/",
}
SIGNED_IN = {
    "dashboard": "/dashboard/",
    "keys": "/keys/",
    "billing": "/billing/",
    "budgets": "/billing/budgets/",
    "cards": "/billing/cards/",
    "billing-details": "/billing/details/",
    "invoices": "/billing/invoices/",
    "transactions": "/billing/transactions/",
    "statements": "/billing/statements/",
    "my-quickstart": "/quickstart/",
    "settings": "/settings/",
    "organization": "/settings/organization/",
    "notifications": "/settings/notifications/",
    "privacy": "/settings/privacy/",
    "security": "/accounts/2fa/",
    "sessions": "/settings/sessions/",
    "data-export": "/settings/data-export/",
    "delete-account": "/settings/delete/",
    "emails": "/accounts/email/",
    "password": "/accounts/password/change/",
    "logout": "/accounts/logout/",
}


def photograph(browser: Browser, base_url: str, folder: Path, login: str) -> int:
    """Write one PNG per page, width and theme into ``folder`` and return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    for width, theme in product(WIDTHS, THEMES):
        context = browser.new_context(
            base_url=base_url, color_scheme=theme, viewport={"width": width, "height": 900}
        )
        page = context.new_page()
        _shoot(page, PUBLIC, folder, f"{width}-{theme}")
        if login:
            _log_in(page, *login.split(":", 1))
            _shoot(page, SIGNED_IN, folder, f"{width}-{theme}")
        context.close()
    return len(list(folder.glob("*.png")))


def _shoot(page: Page, paths: dict[str, str], folder: Path, suffix: str) -> None:
    for name, path in paths.items():
        page.goto(path, wait_until="load")
        page.screenshot(path=folder / f"{name}-{suffix}.png", full_page=True)


def _log_in(page: Page, email: str, password: str) -> None:
    page.goto("/accounts/login/")
    page.fill("[name=login]", email)
    page.fill("[name=password]", password)
    page.click("main button")
    page.wait_for_url("**/dashboard/")


def main(base_url: str, folder: str) -> None:
    """Find a browser and take all pictures."""
    path = find_browser()
    if path is None:
        sys.exit("No Chromium found; name one in FASTANCHOR_BROWSER.")
    with open_browser(path) as browser:
        count = photograph(browser, base_url, Path(folder), os.environ.get("FASTANCHOR_SCREENSHOT_LOGIN", ""))
    sys.stdout.write(f"{count} pictures in {folder}\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
