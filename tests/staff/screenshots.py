"""Photographs every page of the administration: ``python -m tests.staff.screenshots BASE_URL OUT [NAME...]``.

Two widths, two themes; of each table the list, the page that adds a row, and the page of a row where there is one. It
signs in with ``FASTANCHOR_SCREENSHOT_LOGIN`` (``email:password``), a member of staff, so the product must run with
``FASTANCHOR_STAFF_SECOND_FACTOR=0``. With names, only pages whose name begins with one of them.
"""

from __future__ import annotations

import os
import sys
from itertools import product
from pathlib import Path

import django
from playwright.sync_api import Browser, Page

from tests.pages.browser import find_browser, open_browser
from tests.pages.screenshots import THEMES, WIDTHS, log_in

# Streams that never end.
_ENDLESS = frozenset({"operations-live"})


def photograph(browser: Browser, base_url: str, folder: Path, login: str, names: list[str]) -> int:
    """Write one PNG per page, width and theme into ``folder`` and return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    shot = 0
    paths: dict[str, str] = {}
    for width, theme in product(WIDTHS, THEMES):
        context = browser.new_context(
            base_url=base_url, color_scheme=theme, viewport={"width": width, "height": 900}
        )
        page = context.new_page()
        log_in(page, login)
        paths = paths or found(page, names)
        for name, path in paths.items():
            page.goto(path, wait_until="load")
            page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)
            shot += 1
        context.close()
    return shot


def found(page: Page, names: list[str]) -> dict[str, str]:
    """Return the pages of the administration that are wanted, by a name: composed ones, then those of its tables."""
    composed = {"index": "/admin/", **_composed()}
    paths = {
        name: path for name, path in composed.items() if _is_wanted(name, names) and _is_page(page, path)
    }
    for name, path in _lists().items():
        if not _is_wanted(name, names):
            continue
        page.goto(path, wait_until="load")
        paths[name] = path
        for kind, where in (("add", ".object-tools a.addlink"), ("row", "#result_list tbody tr th a")):
            link = page.locator(where).first
            if link.count():
                paths[f"{name}-{kind}"] = str(link.evaluate("link => link.pathname"))
        if f"{name}-row" in paths:
            paths[f"{name}-history"] = paths[f"{name}-row"].replace("/change/", "/history/")
    return paths


def _is_page(page: Page, path: str) -> bool:
    """Tell downloads, and addresses that are only posted to, from pages."""
    answer = page.request.get(path)
    return answer.ok and answer.headers["content-type"].startswith("text/html")


def _composed() -> dict[str, str]:
    # The URL map can be imported once there are settings.
    from django.urls import reverse  # noqa: PLC0415

    from fastanchor.staff.urls import urlpatterns  # noqa: PLC0415

    names = [each.name for each in urlpatterns if each.name and not each.pattern.converters]
    return {name: reverse(name) for name in names if name not in _ENDLESS}


def _lists() -> dict[str, str]:
    from django.contrib import admin  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415

    tables = [model._meta for model in admin.site._registry]
    return {
        f"{each.app_label}-{each.model_name}": reverse(f"admin:{each.app_label}_{each.model_name}_changelist")
        for each in tables
    }


def _is_wanted(name: str, names: list[str]) -> bool:
    return not names or name.startswith(tuple(names))


def main(base_url: str, folder: str, *names: str) -> None:
    """Photograph the administration at ``base_url``."""
    path = find_browser()
    login = os.environ.get("FASTANCHOR_SCREENSHOT_LOGIN", "")
    if path is None or not login:
        sys.exit("A browser is needed (FASTANCHOR_BROWSER) and a login (FASTANCHOR_SCREENSHOT_LOGIN).")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fastanchor.typecheck")
    django.setup()
    # Playwright's loop runs in this thread, and nothing here waits for a database.
    with open_browser(path) as browser:
        count = photograph(browser, base_url, Path(folder), login, list(names))
    print(f"{count} pictures in {folder}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
