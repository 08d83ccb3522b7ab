"""``python -m bench.lighthouse BASE_URL EMAIL:PASSWORD``: what Lighthouse says of the pages of a product that runs.

Start one with ``./dev up``, which prints both. Every page is judged as on a phone (throttled, as Lighthouse does by default)
and as on a desk; with ``--strict`` a score below 95 ends in exit code 1. Needs Node 22 and a browser.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.environments import CannotInstall, node, node_folder_of
from tests.pages.audit import AUDIT, NODE
from tests.pages.browser import find_browser, open_browser

LEAST = 95
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
# Judged, but no target: what is behind the login is not for search engines.
_WITHOUT_TARGET = "seo"
PAGES = ("/", "/models/", "/models/gpt-4o/", "/pricing/", "/docs/", "/status/")
BEHIND_LOGIN = ("/dashboard/", "/dashboard/usage/", "/dashboard/activity/", "/keys/")
_CHROME = "--headless=new --no-sandbox --disable-gpu --disable-quic --disable-background-networking"
_TIMEOUT_S = 180
# Now and then its browser does not start.
_TRIES = 3


def main() -> None:
    """Judge every page and print the scores."""
    words = _words()
    browser = find_browser()
    if browser is None:
        sys.exit("No browser found: name one in FASTANCHOR_BROWSER.")
    try:
        tool = Tool(node(), node_folder_of(AUDIT, NODE), browser)
    except CannotInstall as exc:
        sys.exit(f"Lighthouse cannot be had here: {exc}.")
    email, _, password = words.login.partition(":")
    cookie = sign_in(browser, words.base_url, email, password)
    worst = 100
    print(f"{'page':34} {'form':8} " + " ".join(f"{name:>14}" for name in CATEGORIES))
    for path, form, scores in judgements(tool, words.base_url, cookie):
        print(f"{path:34} {form:8} " + " ".join(f"{scores[name]:>14}" for name in CATEGORIES), flush=True)
        worst = min(worst, *(score for name, score in scores.items() if name != _WITHOUT_TARGET))
    print(f"lowest: {worst}, target {LEAST}")
    if words.strict and worst < LEAST:
        sys.exit(1)


class Tool:
    """Lighthouse as it is installed here."""

    def __init__(self, runtime: str, folder: Path, browser: str) -> None:
        self._command = [runtime, str(folder / "node_modules" / "lighthouse" / "cli" / "index.js")]
        self._environment = {**os.environ, "CHROME_PATH": browser}

    def report(self, url: str, *, form: str, cookie: str = "") -> dict[str, Any]:
        """Return Lighthouse's report on one page; ``form`` is ``phone`` or ``desk``."""
        command = [
            *self._command, url, "--quiet", "--output=json", f"--chrome-flags={_CHROME}",
            f"--only-categories={','.join(CATEGORIES)}",
        ]  # fmt: skip
        if form == "desk":
            command.append("--preset=desktop")
        why = ""
        with _headers(cookie) as headers:
            for _ in range(_TRIES):
                done = subprocess.run(
                    [*command, *headers],
                    env=self._environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
                )  # fmt: skip
                if done.returncode == 0:
                    report: dict[str, Any] = json.loads(done.stdout)
                    return report
                why = done.stderr[-2_000:]
        sys.exit(f"Lighthouse could not judge {url}: {why}")


def scores_of(report: dict[str, Any]) -> dict[str, int]:
    """Return the score of each category, 0 to 100."""
    return {name: round((report["categories"][name]["score"] or 0) * 100) for name in CATEGORIES}


def judgements(tool: Tool, base_url: str, cookie: str) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Yield each page, the form in which it was judged, and its scores."""
    for form in ("phone", "desk"):
        for path in PAGES:
            yield path, form, scores_of(tool.report(base_url + path, form=form))
        for path in BEHIND_LOGIN:
            yield path, form, scores_of(tool.report(base_url + path, form=form, cookie=cookie))


def sign_in(browser: str, base_url: str, email: str, password: str) -> str:
    """Log in as a person does and return the cookie of the session."""
    with open_browser(browser) as running:
        page = running.new_page(base_url=base_url)
        page.goto("/accounts/login/")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(password)
        page.get_by_role("main").get_by_role("button", name="Log in", exact=True).click()
        page.wait_for_url("**/dashboard/")
        return "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())


@contextmanager
def _headers(cookie: str) -> Iterator[list[str]]:
    """Hand the cookie over in a file: it is a secret, and command lines are seen by all."""
    if not cookie:
        yield []
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"Cookie": cookie}, file)
        file.flush()
        yield [f"--extra-headers={file.name}"]


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.lighthouse", description=__doc__)
    parser.add_argument("base_url", type=lambda url: url.rstrip("/"))
    parser.add_argument("login", metavar="EMAIL:PASSWORD")
    parser.add_argument("--strict", action="store_true", help=f"exit 1 when a score is below {LEAST}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
