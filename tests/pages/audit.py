"""What judges pages: where axe-core and Lighthouse are locked, and how axe is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.clients.environments import CannotInstall, give_up, node_folder_of

NODE = Path(__file__).parent / "node"
AUDIT = "audit"
# Accessibility by the Web Content Accessibility Guidelines 2.2, levels A and AA, and axe's good practice. Style sheets are not
# read once more: axe would apply what they import as inline styles, which our policy refuses aloud.
_RUN_AXE = """() => axe.run(document, {resultTypes: ["violations"], preload: false}).then(({violations}) => violations.map(
    ({id, nodes}) => `${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 5).join(" | ")}`))"""


def axe_source() -> str:
    """Return axe-core; where it cannot be installed, the test is skipped, but never in CI."""
    try:
        folder = node_folder_of(AUDIT, NODE)
    except CannotInstall as exc:
        give_up(f"Pages are not looked at by axe: {exc}.")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def judged(page: Page, axe: str) -> list[Any]:
    """Return axe's violations on the page as it is shown now."""
    page.evaluate(axe)
    found: list[Any] = page.evaluate(_RUN_AXE)
    return found
